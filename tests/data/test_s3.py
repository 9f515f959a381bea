"""Shards in a bucket of an S3 server, which checks who asks: indexed once, trained from, and resumed exactly."""

import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import foreign_shards
import pytest
import torch
from conftest import REPOSITORY, Finished
from moto.core.authorization import enable_iam_authentication
from moto.server import ThreadedMotoServer
from s3fs import S3FileSystem
from tones import SAMPLE_RATE

from fold.data import download as module
from fold.data.corpora import WebShards
from fold.data.datamodule import SpeechData
from fold.data.download import Unreachable, download

POLICY = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'
ANYONE = {"aws_access_key_id": "anyone", "aws_secret_access_key": "anything", "region_name": "us-east-1"}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """That of somebody whom a server lets read its bucket `speech`."""
    root = tmp_path_factory.mktemp("root")
    foreign_shards.with_texts(root)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    bucket, people = (boto3.client(service, endpoint_url=url, **ANYONE) for service in ("s3", "iam"))
    bucket.create_bucket(Bucket="speech")
    for tar in root.rglob("*.tar"):
        bucket.upload_file(str(tar), "speech", f"corpus/{tar.relative_to(root)}")
    people.create_user(UserName="ann")
    people.put_user_policy(UserName="ann", PolicyName="all", PolicyDocument=POLICY)
    key = people.create_access_key(UserName="ann")["AccessKey"]
    with enable_iam_authentication():
        yield {
            "AWS_ENDPOINT_URL": url,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        }
    server.stop()


@pytest.fixture
def ann(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Reads S3 as she does, and as nobody who read before."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")  # on a machine of Amazon's there would be somebody else
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    S3FileSystem.clear_instance_cache()
    yield
    S3FileSystem.clear_instance_cache()


def fetched(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The shards that the server was asked for."""
    return re.findall(r"GET /speech/corpus/(\S+\.tar) ", caplog.text)


def data(folder: Path, cache: str = "cache") -> SpeechData:
    root = "s3://speech/corpus/train/part-{000000..000003}.tar"
    places = {"root": root, "shards": str(folder / "shards"), "cache": str(folder / cache)}
    return SpeechData(WebShards(), SAMPLE_RATE, batch_seconds=4.0, num_workers=0, prepare_workers=1, **places)


@pytest.mark.usefixtures("ann")
def test_a_bucket_is_indexed_once_and_every_shard_fetched_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "werkzeug")
    data(tmp_path).prepare_data()
    data(tmp_path).prepare_data()
    assert sorted(fetched(caplog)) == [f"train/part-{n:06d}.tar" for n in range(4)]
    caplog.clear()
    whole = list(data(tmp_path).train_dataloader())
    assert sorted(fetched(caplog)) == ["train/part-000000.tar", "train/part-000001.tar"]  # others are held out
    ids = [id for batch in whole for id in batch.ids]
    assert len(ids) == len(set(ids)) == 12 and not any(batch.faults for batch in whole) and len(whole) > 3
    resumed = data(tmp_path, "another")
    resumed._resumed = (0, 2)
    for batch, same in zip(resumed.train_dataloader(), whole[2:], strict=True):
        assert batch.ids == same.ids and torch.equal(batch.waveforms, same.waveforms)


@pytest.mark.slow
@pytest.mark.usefixtures("ann")
def test_a_run_reads_a_bucket_in_its_workers(
    tones_config: Path, fold_process: Callable[..., Finished], tmp_path: Path
) -> None:
    options = [f"--config={tones_config}", f"--config={REPOSITORY}/data/webdataset.yaml", "--data.num_workers=2"]
    options += ["--data.root=s3://speech/corpus/train/part-{000000..000003}.tar", f"--data.sample_rate={SAMPLE_RATE}"]
    done = fold_process(tmp_path, "fit", *options, f"--data.shards={tmp_path}/shards", "--trainer.logger=false")
    assert "WER" in done.stdout and "bad data" not in done.stdout + done.stderr


@pytest.mark.usefixtures("ann")
@pytest.mark.parametrize(
    ("url", "settings", "told"),
    [
        ("s3://speech/corpus/none.tar", {}, "there is no such object"),
        ("s3://speech/corpus/train", {}, "there is no such object, but only some whose names begin so"),
        ("s3://speech", {}, "Attempt to open non key-like path: speech"),
        ("s3://silence/a.tar", {}, "The specified bucket does not exist"),
        ("s3://speech/corpus/none.tar", {"AWS_ACCESS_KEY_ID": "eve"}, "Forbidden"),
        ("s3://speech/corpus/none.tar", {"AWS_SECRET_ACCESS_KEY": "guessed"}, "Forbidden"),
        ("s3://speech/corpus/none.tar", {"AWS_PROFILE": "eve"}, "The config profile (eve) could not be found"),
        (
            "s3://speech/corpus/none.tar",
            {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "HOME": "/nowhere"},
            "Unable to locate credentials; for a public bucket set FSSPEC_S3_ANON=true",
        ),
    ],
)
def test_what_a_bucket_does_not_give_is_told_in_a_line_and_not_asked_for_again(
    url: str, settings: dict[str, str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(module.time, "sleep", lambda seconds: pytest.fail("tries again"))
    with pytest.raises(Unreachable) as caught:
        download(url, tmp_path / "a.tar", sha256=None, quiet=True)
    assert str(caught.value) == f"cannot download {url}: {told}; tries: 1"
    assert not (tmp_path / "a.tar").exists()


def test_a_server_that_is_not_there_is_asked_again(ann: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # of botocore's own
    pauses: list[float] = []
    monkeypatch.setattr(module.time, "sleep", pauses.append)
    with pytest.raises(Unreachable, match=r'Could not connect to the endpoint URL: "http://127.0.0.1:9/.*; tries: 5$'):
        download("s3://speech/corpus/none.tar", tmp_path / "a.tar", sha256=None, quiet=True)
    assert len(pauses) == 4

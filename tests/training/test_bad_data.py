"""What a run says of bad data, and when it stops."""

import csv
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Finished
from torture.kills import start

from fold.data.shards import read_sidecar

Command = Callable[..., Finished]
BAD_ROWS = (3, 50, 120)


@pytest.fixture
def damaged(tones_config: Path, tones_shards: Path, tmp_path: Path) -> list[str]:
    """A short training on a corpus with three damaged utterances of 200."""
    shards = tmp_path / "shards"
    shutil.copytree(tones_shards, shards)
    [tar] = shards.glob("*/train-000000.tar")
    content = bytearray(tar.read_bytes())
    for row in BAD_ROWS:
        place = int(read_sidecar(tar)[row]["audio_offset"])
        content[place : place + 200] = bytes(200)
    tar.write_bytes(content)
    epoch = ["--trainer.max_epochs=1", "--trainer.max_steps=20", "--trainer.log_every_n_steps=1", "--run_dir=run"]
    return ["fit", f"--config={tones_config}", f"--data.shards={shards}", *epoch]


def test_bad_data_is_skipped_counted_and_told(damaged: list[str], fold_command: Command, tmp_path: Path) -> None:
    done = fold_command(*damaged, "--bad_data.max_share=0.02")
    [told] = [line for line in (done.stdout + done.stderr).splitlines() if "undecodable" in line]
    assert "bad data: 3 training utterances skipped (3 x undecodable audio" in told
    listed = [line.split("\t") for line in (tmp_path / "run" / "skipped.tsv").read_text().splitlines()]
    assert f"{Path('run') / 'skipped.tsv'}" in told
    assert [fields[:2] for fields in listed] == [["train", "train-000000.tar"]] * 3
    assert len({fields[2] for fields in listed}) == 3 and {fields[3] for fields in listed} == {"undecodable audio"}
    with (tmp_path / "run" / "metrics.csv").open() as stream:
        logged = [row["bad_data/train/undecodable_audio"] for row in csv.DictReader(stream)]
    assert [float(value) for value in logged if value] == [3.0]
    [table] = (tmp_path / "run" / "wandb").glob("offline-run-*/files/media/table/bad_data/training_*.table.json")
    assert json.loads(table.read_text())["data"] == [["undecodable audio", "train-000000.tar", 3]]


def test_more_than_the_share_stops_the_run(damaged: list[str], fold_command: Command) -> None:
    done = fold_command(*damaged, "--bad_data.max_share=0.01", check=False)
    assert done.status == 2
    [told] = [line for line in done.stderr.splitlines() if line.startswith("fold fit: ")]
    assert "3 of 200 utterances, more than the share of 0.01" in told
    assert "train-000000.tar" in told and "undecodable audio" in told


def test_the_policy_raise_names_shard_and_id(damaged: list[str], fold_command: Command) -> None:
    done = fold_command(*damaged, "--bad_data.on_fault=raise", check=False)
    assert done.status == 2
    [told] = [line for line in done.stderr.splitlines() if line.startswith("fold fit: ")]
    assert "bad data in train-000000.tar, train" in told


@pytest.mark.parametrize(
    ("option", "message"),
    [
        pytest.param("--bad_data.on_fault=raise", "bad data in train-000000.tar, train", marks=pytest.mark.slow),
        ("--bad_data.max_share=0.012", "more than the share of 0.012"),  # of both ranks' data together
    ],
)
def test_two_processes_end_together_without_a_trace(
    option: str, message: str, damaged: list[str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    process = start([sys.executable, "-m", "fold", *damaged, option, "--trainer.devices=2"], log)
    assert process.wait(timeout=120) == 2
    told = log.read_text()
    assert message in told
    assert "Traceback" not in told

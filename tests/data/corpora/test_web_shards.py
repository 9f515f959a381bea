"""Shards that others wrote are trained from where they lie, with the guarantees of our own."""

import io
import json
import re
import shutil
import subprocess
import tarfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import foreign_shards
import numpy as np
import pytest
import torch
import webdataset
import yaml
from conftest import REPOSITORY, Finished
from foreign_corpora import said
from foreign_shards import LAYOUTS, encoded, write_tar
from hostile import NO_RANGE, HostileServer
from tones import SAMPLE_RATE

from fold.data import download
from fold.data.corpora import SPLITS, WebShards
from fold.data.corpora import scans as scans_module
from fold.data.corpora.shard_lists import expand
from fold.data.datamodule import SpeechData
from fold.data.index import read_index
from fold.data.plans import Reference
from fold.data.stream import ShardedSpeech
from fold.errors import FoldError

PARTS = {split: f"{split}/part-*.tar" for split in SPLITS}


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As webdataset's own writer writes them."""
    root = tmp_path_factory.mktemp("shards")
    foreign_shards.with_texts(root)
    return root


@pytest.fixture(scope="module")
def prepared(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    data(shards, folder).prepare_data()
    return folder


def data(root: Path | str, folder: Path, rank: int = 0, world_size: int = 1, **settings: object) -> SpeechData:
    corpus = settings.pop("corpus", WebShards(**PARTS))
    sizes = {"batch_seconds": 4.0, "eval_batch_seconds": 4.0, "shuffle_window": 2, "prepare_workers": 1}
    cache = {"shards": str(folder), "cache": str(folder / "cache")}
    module = SpeechData(corpus, SAMPLE_RATE, root=str(root), **cache, **(sizes | settings))
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    state = SimpleNamespace(fn="fit")
    module.trainer = SimpleNamespace(
        global_rank=rank, world_size=world_size, accumulate_grad_batches=1, strategy=strategy, state=state
    )
    return module


def everything(module: SpeechData, split: str = "train") -> tuple[dict[str, tuple[str, np.ndarray]], list[str]]:
    """Text and samples of the utterances of a split by id, and what is wrong with the others."""
    speech = ShardedSpeech(module.location, module.index.splits[split], SAMPLE_RATE, module.units)
    places = [Reference(n, row) for n, s in enumerate(speech.split.shards) for row in range(s.utterances)]
    batches = [speech[[place]] for place in places]
    found = {b.ids[0]: (b.texts[0], b.waveforms[0].numpy()) for b in batches if b.ids}
    return found, [str(fault) for b in batches for fault in b.faults]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_shards_of_all_kinds_say_what_they_say(
    layout: str, tmp_path: Path, fold_command: Callable[..., Finished]
) -> None:
    write, [config, *options] = LAYOUTS[layout]
    write(tmp_path / "root")
    options = [f"--config={REPOSITORY}/data/{config}.yaml", *options, f"--data.root={tmp_path}/root"]
    fold_command("prepare", *options, f"--data.sample_rate={SAMPLE_RATE}", f"--data.shards={tmp_path}/out")
    [folder] = (file.parent for file in (tmp_path / "out").glob("*/index.json"))
    module = data(tmp_path / "root", tmp_path / "out")
    module.location, module._index = replace(module.location, folder=folder), read_index(folder)
    for split in SPLITS:
        found, faults = everything(module, split)
        assert faults == []
        heard = sorted(found.items(), key=lambda item: re.search(r"\d{4}", item[0])[0])
        for (id, (text, samples)), utterance in zip(heard, said(split), strict=True):
            assert (text, utterance.id in id) == (utterance.text, True)
            assert len(samples) == pytest.approx(
                len(utterance.samples), abs=1 if layout in ("json", "nemo", "shar") else 2400
            )
            assert likeness(samples, utterance.samples) > 0.9
    members = [name for tar in folder.rglob("*.tar") for name in names_in(tar)]
    assert len(members) == sum(len(said(split)) for split in SPLITS)
    assert all(name.endswith(".json") for name in members)  # no audio is copied


def names_in(tar: Path) -> list[str]:
    with tarfile.open(tar) as opened:
        return opened.getnames()


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    """The correlation of two sounds, one moved against the other as fits best: codecs delay."""
    n = 2 * max(len(a), len(b))
    product = np.fft.irfft(np.fft.rfft(a, n) * np.conj(np.fft.rfft(b, n)))
    return float(product.max() / np.sqrt(np.square(a).sum() * np.square(b).sum()))


def test_one_list_is_trained_from(
    shards: Path, tmp_path: Path, tones_config: Path, fold_command: Callable[..., Finished]
) -> None:
    options = [f"--config={tones_config}", f"--config={REPOSITORY}/data/webdataset.yaml"]
    options += [f"--data.root={shards}/train/part-{{000000..000003}}.tar", f"--data.sample_rate={SAMPLE_RATE}"]
    done = fold_command("fit", *options, f"--data.shards={tmp_path}/out", "--data.prepare_workers=1")
    assert "WER" in done.stdout
    assert re.search(r"the split 'test' is held out of '.*': \S*part-000003.tar\n", done.stdout)
    [folder] = (file.parent for file in (tmp_path / "out").glob("*/index.json"))
    listed = {name: [Path(s.audio).name for s in split.shards] for name, split in read_index(folder).splits.items()}
    assert listed == {
        "train": ["part-000000.tar", "part-000001.tar"],
        "dev": ["part-000002.tar"],
        "test": ["part-000003.tar"],
    }


@pytest.mark.parametrize(("world_size", "workers"), [(1, 0), (3, 0), (2, 2)])
def test_every_utterance_comes_exactly_once(shards: Path, prepared: Path, world_size: int, workers: int) -> None:
    ranks = [data(shards, prepared, rank, world_size, num_workers=workers) for rank in range(world_size)]
    for split, kind in (("train", "train"), ("dev", "val"), ("test", "test")):
        loaders = [getattr(rank, f"{kind}_dataloader")() for rank in ranks]
        ids = Counter(id for loader in loaders for batch in loader for id in batch.ids)
        assert len(ids) == len(said(split)) and set(ids.values()) == {1}


def test_a_resumed_epoch_goes_on_as_it_would_have(shards: Path, prepared: Path) -> None:
    whole = [batch.ids for batch in data(shards, prepared, num_workers=0).train_dataloader()]
    assert len(whole) > 3
    resumed = data(shards, prepared, num_workers=0)
    resumed._resumed = (0, 2)
    assert [batch.ids for batch in resumed.train_dataloader()] == whole[2:]


def test_shards_are_read_again_only_when_they_have_changed(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    shutil.copytree(shards, root)
    read: list[str] = []
    scan = scans_module.scan
    monkeypatch.setattr(scans_module, "scan", lambda name, *rest: (read.append(Path(name).name), scan(name, *rest))[1])
    module = data(root, tmp_path / "out")
    module.prepare_data()
    assert len(read) == 6
    data(root, tmp_path / "out").prepare_data()
    assert len(read) == 6
    changed = root / "train" / "part-000001.tar"
    utterance = said("train")[0]
    write_tar(changed, [("new.wav", encoded(utterance.samples, "wav")), ("new.txt", b"a new one")])
    _, faults = everything(module)
    assert len(faults) == 6 and all("is another file than was indexed" in fault for fault in faults)
    again = data(root, tmp_path / "out")
    again.prepare_data()
    assert read[6:] == ["part-000001.tar"]
    assert "new: new" in capsys.readouterr().out
    found, faults = everything(again)
    assert faults == [] and found["new"][0] == "a new one" and len(found) == len(said("train")) - 5


def sound(seconds: float = 0.5) -> bytes:
    return encoded(0.3 * np.sin(np.arange(int(seconds * SAMPLE_RATE))).astype("f4"), "wav")


BAD: dict[str, tuple[list[tuple[str, bytes]], str]] = {
    "no transcript": (
        [("x.wav", sound())],
        r"x\d+: unusable recording \(no transcript \(of txt, json:text; it has",
    ),
    "an empty transcript": ([("x.wav", sound()), ("x.txt", b" \n")], r"x\d+: unusable recording \(no transcript"),
    "no recording": ([("x.txt", b"yes")], r"x\d+: unusable recording \(no recording \(it has txt\)"),
    "no audio": ([("x.wav", b"no audio"), ("x.txt", b"yes")], r"unusable recording \(not audio that libsndfile reads"),
    "silence": ([("x.wav", encoded(np.zeros(4000), "wav")), ("x.txt", b"yes")], r"unusable recording \(silent"),
    "half a recording": ([("x.wav", sound()[:3000]), ("x.txt", b"yes")], r"unusable recording \(.* s are there"),
    "no UTF-8": ([("x.wav", sound()), ("x.txt", b"\xff\xfe")], r"unusable recording \(x\d+.txt:1: not UTF-8"),
    "no JSON": ([("x.wav", sound()), ("x.json", b"{")], r"unusable recording \(x\d+.json: no JSON"),
    "NaN": ([("x.wav", sound()), ("x.json", b'{"text": NaN}')], r"x\d+: unusable recording \(no transcript"),
    "a part": (
        [("x.wav", sound(2.0)), ("x.json", b'{"text": "yes", "offset": 0.1, "duration": 0.5}')],
        r"unusable recording \(it lasts 2.00 s, but a part of 0.5 is told of, by x\d+.json; no parts are read",
    ),
    "the beginning": (
        [("x.wav", sound(2.0)), ("x.json", b'{"text": "yes", "end": 0.5}')],
        r"unusable recording \(it lasts 2.00 s, but a part of 0.5 is told of, by x\d+.json",
    ),
    "deep JSON": ([("x.wav", sound()), ("x.json", b"[" * 100_000)], r"unusable recording \(x\d+.json: no JSON"),
    "only punctuation": ([("x.wav", sound()), ("x.txt", b"...")], r"x\d+: no transcript"),
}


@pytest.fixture(scope="module")
def with_bad(tmp_path_factory: pytest.TempPathFactory) -> SpeechData:
    """Shards with one good sample each and one that is bad."""
    root = tmp_path_factory.mktemp("bad")
    for number, (members, _) in enumerate(BAD.values()):
        renamed = [(name.replace("x.", f"x{number}."), content) for name, content in members]
        good = [(f"good{number}.wav", sound()), (f"good{number}.txt", b"yes"), ("__meta__/a.txt", b"no sample")]
        write_tar(root / f"train-{number:02d}.tar", [*renamed, *good])
    for split in ("dev", "test"):
        write_tar(root / f"{split}.tar", [(f"{split}.wav", sound()), (f"{split}.txt", b"yes")])
    module = data(root, root / "out", corpus=WebShards(dev="dev.tar", test="test.tar"))
    module.prepare_data()
    return module


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_sample_is_counted_and_the_others_come(kind: str, with_bad: SpeechData) -> None:
    number = list(BAD).index(kind)
    found, faults = everything(with_bad)
    assert found.keys() == {f"good{n}" for n in range(len(BAD))}
    [fault] = [fault for fault in faults if f"train-{number:06d}.tar" in fault]
    assert re.search(BAD[kind][1], fault)
    assert "\n" not in fault


def test_bad_samples_are_counted_in_a_pass_over_them(with_bad: SpeechData) -> None:
    batches = list(with_bad.train_dataloader())
    assert sum(len(batch.ids) for batch in batches) == len(BAD)
    assert sum(len(batch.faults) for batch in batches) == len(BAD)


GOOD = [("a.wav", sound()), ("a.txt", b"yes")]


@pytest.mark.parametrize(
    ("corpus", "members", "told"),
    [
        ({"train": "none-*.tar"}, GOOD, r"none-\*.tar': there is no such file"),
        ({"train": "train-{0..3}.tar"}, GOOD, r"there is no file .*train-1.tar"),
        ({"train": "train-{0..x}.tar"}, GOOD, r"has a brace that stands for nothing"),
        ({"train": "train-{}.tar"}, GOOD, r"has a brace that stands for nothing"),
        ({"train": "train-0.tar::train-0.tar"}, GOOD, r"names .*train-0.tar twice"),
        ({"train": "pipe:cat train-0.tar"}, GOOD, r"what a command writes cannot be indexed; name files or URLs"),
        ({"train": "gs://bucket/a.tar"}, GOOD, r"'gs://bucket/a.tar' is refused: expected http"),
        ({"dev": "train-0.tar"}, GOOD, r"train-0.tar is in the splits 'train' and 'dev'"),
        ({"dev": None}, GOOD, r"names 1 shards, too few to keep some apart; set data.corpus.dev$"),
        ({}, [*GOOD, ("a.flac", sound())], r"train-0.tar: 'a' has two recordings \(wav, flac\); name the extension"),
        ({}, [*GOOD, ("a.txt", b"no")], r"train-0.tar: two members are called 'a.txt'"),
        ({}, [("a.wav", sound())], r"no sample of the split 'train' can be used .*'a': no transcript \(of txt"),
        ({}, [("a.m4a", sound()), ("a.txt", b"x")], r"no sample of the split 'train' .*'a': no recording \(it has m4a"),
        ({}, [], r"no sample of the split 'train' can be used .*no recording is in them"),
        ({"text": ["cls"]}, GOOD, r"no transcript \(of cls; it has wav, txt"),
        (
            {"test": {"x": "test.tar", "y": "again.tar"}},
            GOOD,
            r"again.tar: the key 't' is that of a sample of .*test.tar",
        ),
        ({"lists": "list.jsonl"}, GOOD, r"there is no file .*list.jsonl"),
        ({"lists": "test.tar"}, GOOD, r"test.tar: the name of a list ends in"),
        ({"lists": {"dev": "list.tsv"}}, GOOD, r"lists has none for the split 'train'"),
        ({"lists": "list.tsv"}, GOOD, r"list.tsv:3: 'a.wav' has another line already, with another text"),
        ({"lists": "member:a.csv"}, GOOD, r"train-0.tar: there is no list 'a.csv' in it"),
        ({"lists": "good.tsv"}, [("b.wav", sound())], r"no recording is in them, or none is listed"),
        ({"lists": "good.tsv", "columns": {"channel": "text"}}, GOOD, r"columns: 'channel' is not read of shards; exp"),
    ],
)
def test_what_cannot_be_indexed_is_told_in_a_line(
    corpus: dict, members: list[tuple[str, bytes]], told: str, tmp_path: Path
) -> None:
    write_tar(tmp_path / "train-0.tar", members)
    for name, key in (("dev", "d"), ("test", "t"), ("again", "t")):
        write_tar(tmp_path / f"{name}.tar", [(f"{key}.wav", sound()), (f"{key}.txt", b"yes")])
    (tmp_path / "list.tsv").write_text("audio\ttext\na.wav\tyes\na.wav\tno\n")
    (tmp_path / "good.tsv").write_text("audio\ttext\na.wav\tyes\n")
    settings = {"train": "train-*.tar", "dev": "dev.tar", "test": "test.tar"} | corpus
    with pytest.raises(FoldError, match=told) as caught:
        data(tmp_path, tmp_path / "out", corpus=WebShards(**settings)).prepare_data()
    assert "\n" not in str(caught.value)


def test_a_copy_of_a_shard_is_no_split_of_its_own(tmp_path: Path) -> None:
    for name in ("train", "dev"):
        write_tar(tmp_path / f"{name}.tar", [(f"{name}.wav", sound()), (f"{name}.txt", b"yes")])
    shutil.copy(tmp_path / "train.tar", tmp_path / "test.tar")
    module = data(tmp_path, tmp_path / "out", corpus=WebShards("train.tar", "dev.tar", "test.tar"))
    with pytest.raises(FoldError, match=r"test.tar of the split 'test' is a copy of .*train.tar of 'train'"):
        module.prepare_data()


@pytest.mark.parametrize(
    "told",
    [
        '"offset": 7.25, "duration": 0.5',
        '"offset": "7.25", "duration": "0.5"',
        '"start": 7250, "end": 7750',  # milliseconds
        '"start": 319725, "end": 341775',  # samples at another rate
        '"start": 7, "end": 8',  # rounded
        '"start": 7.3, "end": 7.7',  # of the speech in it
        '"start": NaN, "end": NaN',
        '"start": 0, "end": 1' + "0" * 400,
        '"end": 5',
    ],
)
def test_what_was_cut_out_before_is_no_part(told: str, tmp_path: Path) -> None:
    """A sample that tells where it began in a longer recording, in whatever unit."""
    meta = f'{{"text": "yes", {told}}}'.encode()
    for name in ("train", "dev", "test"):
        write_tar(tmp_path / f"{name}.tar", [(f"{name}.wav", sound()), (f"{name}.json", meta)])
    module = data(tmp_path, tmp_path / "out", corpus=WebShards("train.tar", "dev.tar", "test.tar"))
    module.prepare_data()
    found, faults = everything(module)
    assert list(found) == ["train"] and not faults


def test_names_as_tar_writes_them(tmp_path: Path) -> None:
    """By GNU tar itself, of a folder: before all names is ./, and links, folders and hidden files are among them."""
    for name in ("train", "dev", "test"):
        folder = tmp_path / name / "ann"
        folder.mkdir(parents=True)
        (folder / f"{name}.wav").write_bytes(sound())
        (folder / f"{name}.txt").write_text("yes")
        (folder / f"._{name}.wav").write_text("of a Mac")
        (folder / "link.wav").symlink_to(f"{name}.wav")
        subprocess.run(["tar", "-cf", tmp_path / f"{name}.tar", "-C", tmp_path / name, "."], check=True)
    module = data(tmp_path, tmp_path / "out", corpus=WebShards("train.tar", "dev.tar", "test.tar"))
    module.prepare_data()
    found, faults = everything(module)
    assert [text for text, _ in found.values()] == ["yes"] and faults == []
    assert "ann_train" in "".join(found)


def test_what_lists_and_shards_do_not_share_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for split in SPLITS:
        write_tar(tmp_path / f"{split}-0.tar", [(f"{split}.1.wav", sound()), (f"{split}.2.wav", sound())])
        (tmp_path / f"{split}.json").write_text(
            f'{{"f": "{split}.1.wav", "text": "yes"}}\n{{"f": "{split}.1-sub1.wav", "text": "no"}}\n'
        )
    lists = {split: f"{split}.json" for split in SPLITS}
    tars = {split: f"{split}-*.tar" for split in SPLITS}
    module = data(tmp_path, tmp_path / "out", corpus=WebShards(**tars, lists=lists, columns={"audio": "f"}))
    module.prepare_data()
    assert [text for text, _ in everything(module)[0].values()] == ["yes"]
    told = capsys.readouterr().out
    assert "WebShards, train: recordings that are not listed: 1, such as 'train.2.wav'" in told
    assert "WebShards, dev: lines whose recording is in no shard: 1, such as 'dev.1-sub1.wav'" in told


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([{"duration": 1.0}], "it lasts 6.00 s, but by its list 1.0 s; no parts are read"),
        ([{"duration": "long"}], "its list tells of 'long' seconds, expected a number"),
        ([{"duration": 6.04}], ""),
        ([{"offset": 0.0}], ""),
        ([{"offset": 1.0, "duration": 1.0}], r"audio.json:1: start 1.0: of recordings in shards no parts are read"),
        ([{"duration": 6.0}, {"duration": 3.0}], r"audio.json:2: 'a.wav' has another line already, with another text"),
        ([{"end": 2.0}], r"audio.json:1: end 2.0: of recordings in shards no parts are read"),
        ([{"start_time": 2.0}], r"audio.json:1: start_time would not be read, but a wrong part"),
    ],
)
@pytest.mark.parametrize("inside", [False, True])
def test_recordings_in_shards_are_as_long_as_listed(rows: list[dict], told: str, inside: bool, tmp_path: Path) -> None:
    """Parts of members were read whole, each with the transcript of a part."""
    listed = "\n".join(json.dumps({"audio_filepath": "a.wav", "text": "one"} | row) for row in rows)
    for split in SPLITS:
        good = json.dumps({"audio_filepath": f"{split}.wav", "text": "yes", "duration": 0.5})
        content = f"{listed}\n{good}" if split == "train" else good
        audio = [("a.wav", sound(6.0))] * (split == "train") + [(f"{split}.wav", sound())]
        write_tar(tmp_path / f"{split}.tar", [*audio, *([("audio.json", content.encode())] if inside else [])])
        (tmp_path / split).mkdir()
        (tmp_path / split / "audio.json").write_text(content)
    lists = "member:audio.json" if inside else {split: f"{split}/audio.json" for split in SPLITS}
    columns = {"audio": "audio_filepath", "start": "offset", "seconds": "duration"}
    corpus = WebShards("train.tar", "dev.tar", "test.tar", lists=lists, columns=columns)
    module = data(tmp_path, tmp_path / "out", corpus=corpus)
    if "audio.json" in told:
        with pytest.raises(FoldError, match=told):
            module.prepare_data()
        return
    module.prepare_data()
    found, faults = everything(module)
    assert len(found) == (1 if told else 2) and len(faults) == bool(told)
    assert all(told in fault for fault in faults)


def test_windows_of_lhotse_in_shards_are_refused(tmp_path: Path) -> None:
    """Each had the whole text of what it holds a part of."""
    lhotse = pytest.importorskip("lhotse")
    (tmp_path / "a.wav").write_bytes(sound(3.0))
    made = lhotse.Recording.from_file(tmp_path / "a.wav").to_cut()
    made.supervisions = [lhotse.SupervisionSegment("a", made.recording_id, 0.0, made.duration, text="one two")]
    for split in SPLITS:
        (tmp_path / split).mkdir()
        lhotse.CutSet.from_cuts([made]).cut_into_windows(1.0).to_shar(
            tmp_path / split, {"recording": "flac"}, num_jobs=1
        )
    shipped = yaml.safe_load((REPOSITORY / "data" / "lhotse_shar.yaml").read_text())["data"]["corpus"]["init_args"]
    with pytest.raises(
        FoldError, match=r"cuts.000000.jsonl.gz:1: the supervision 'a' is from 0.00 s to 3.00 s of a cut of 1"
    ):
        data(tmp_path, tmp_path / "out", corpus=WebShards(**shipped)).prepare_data()


def damaged(path: Path, how: str) -> None:
    content = path.read_bytes()
    place = content.index(b"b.wav")
    if how == "cut off":
        path.write_bytes(content[: place + 600])
    elif how == "cut off in a header":
        path.write_bytes(content[: place + 60])
    elif how == "overwritten":
        path.write_bytes(content[:place] + b"?" * 300 + content[place + 300 :])
    elif how == "overwritten at once":
        path.write_bytes(b"?" * 1024 + content)
    elif how == "packed":
        import gzip

        path.write_bytes(gzip.compress(content))
    else:
        path.write_bytes(b"")


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("cut off", r"no tar, or a damaged one"),
        ("cut off in a header", r"damaged at byte \d+"),
        ("overwritten", r"damaged at byte \d+"),
        ("overwritten at once", r"no tar, or a damaged one"),
        ("packed", r"packed by gzip: unpack it"),
        ("emptied", r"no tar, or a damaged one"),
    ],
)
def test_a_damaged_tar_is_refused(how: str, told: str, tmp_path: Path) -> None:
    for name in ("a", "d", "t"):
        pairs = [(f"{name}.wav", sound()), (f"{name}.txt", b"yes"), (f"{name}b.wav", sound()), (f"{name}b.txt", b"no")]
        write_tar(tmp_path / f"{name}.tar", pairs)
    damaged(tmp_path / "a.tar", how)
    with pytest.raises(FoldError, match=rf"a.tar: {told}") as caught:
        data(tmp_path, tmp_path / "out", corpus=WebShards("a.tar", "d.tar", "t.tar")).prepare_data()
    assert "\n" not in str(caught.value)


def test_shards_of_a_server_without_ranges(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "BACKOFF_SECONDS", 0.001)
    numbers = {split: len(list((shards / split).glob("*.tar"))) for split in SPLITS}
    lists = {split: f"{split}/part-{{000000..{n - 1:06d}}}.tar" for split, n in numbers.items()}
    paths = [f"/{split}/part-{n:06d}.tar" for split in SPLITS for n in range(numbers[split])]
    with HostileServer(shards, always=dict.fromkeys(paths, NO_RANGE)) as server:
        module = data(server.url, tmp_path, corpus=WebShards(**lists), num_workers=0)
        module.prepare_data()
        assert len(server.requests) == len(paths)  # each once
        ids = [id for batch in module.train_dataloader() for id in batch.ids]
        assert sorted(ids) == sorted(everything(module)[0]) and len(ids) == len(said("train"))
        assert len(server.requests) == len(paths) + numbers["train"]  # each once more, kept in the cache
        missing = data(
            server.url, tmp_path, corpus=WebShards("none.tar", "dev/part-000000.tar", "test/part-000000.tar")
        )
        with pytest.raises(FoldError, match=r"cannot download http.*/none.tar: HTTP Error 404"):
            missing.prepare_data()


def test_braces_environment_and_names_of_nemo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a-0.tar", "a-1.tar", "b 2.tar"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    files = [str(tmp_path / name) for name in ("a-0.tar", "a-1.tar", "b 2.tar")]
    assert expand("a-_OP_0..1_CL_.tar::b 2.tar") == files
    assert expand("*.tar") == files
    assert expand("http://host/{a,b}.tar") == ["http://host/a.tar", "http://host/b.tar"]


def test_our_own_shards_are_read_by_webdataset(tones_shards: Path) -> None:
    import soundfile

    [folder] = tones_shards.glob("tones-*")
    split = read_index(folder).splits["train"]
    urls = [str(folder / shard.file) for shard in split.shards]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False).decode())
    assert len(samples) == split.utterances
    for sample in samples[:20]:
        assert sample["json"]["id"] == sample["__key__"] and sample["json"]["text"]
        audio, rate = (
            soundfile.read(io.BytesIO(sample["flac"])) if isinstance(sample["flac"], bytes) else (sample["flac"], 0)
        )
        assert rate in (0, SAMPLE_RATE) and len(audio)


def test_our_own_shards_can_be_read_where_they_lie(tones_shards: Path, tmp_path: Path) -> None:
    [folder] = tones_shards.glob("tones-*")
    lists = {split: f"{split}-*.tar" for split in SPLITS}
    module = data(folder, tmp_path, corpus=WebShards(**lists))
    module.prepare_data()
    found, faults = everything(module, "test")
    assert faults == [] and len(found) == read_index(folder).splits["test"].utterances


def test_shards_of_lhotse_itself(tmp_path: Path) -> None:
    lhotse = pytest.importorskip("lhotse")
    from foreign_corpora import write_audio

    for split in SPLITS:
        cuts = []
        for utterance in said(split):
            file = write_audio(tmp_path / "wavs" / f"{utterance.id}.wav", utterance.samples)
            made = lhotse.Recording.from_file(file).to_cut()
            made.supervisions = [
                lhotse.SupervisionSegment(utterance.id, made.recording_id, 0.0, made.duration, text=utterance.text)
            ]
            cuts.append(made)
        (tmp_path / "shar" / split).mkdir(parents=True)
        written = {"recording": "flac"}
        lhotse.CutSet.from_cuts(cuts).to_shar(tmp_path / "shar" / split, written, shard_size=6, num_jobs=1)
    lists = {split: f"{split}/cuts.*.jsonl.gz" for split in SPLITS}
    tars = {split: f"{split}/recording.*.tar" for split in SPLITS}
    columns = {"audio": "id", "text": "supervisions.*.text", "speaker": "supervisions.0.speaker", "seconds": "duration"}
    module = data(tmp_path / "shar", tmp_path / "out", corpus=WebShards(**tars, lists=lists, columns=columns))
    module.prepare_data()
    found, faults = everything(module)
    assert faults == [] and sorted(text for text, _ in found.values()) == sorted(u.text for u in said("train"))

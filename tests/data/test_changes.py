# ruff: noqa: RUF001
"""A corpus that changes after it was prepared, and preparations that fail."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from audio_files import encoded, speech

from fold.data import render as render_module
from fold.data.corpora import SPLITS, LibriSpeech, Manifest
from fold.data.corpora.recorded import RecordedCorpus
from fold.data.index import INDEX_FILE, Index, read_index
from fold.data.prepare import REFUSED_FILE, _digest, prepare
from fold.data.shards import read_samples
from fold.data.sources import sources_path
from fold.errors import FoldError
from fold.text.normalise import Normaliser
from fold.text.units import UnitsConfig, units_from_dict

RATE = 8000
NAMES = {"train": 12, "dev": 4, "test": 4}


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render_module, "UTTERANCES_PER_SHARD", 4)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A manifest for each split, and its recordings."""
    seed = 0
    for split, number in NAMES.items():
        lines = ["audio\ttext\tid\tspeaker"]
        for index in range(number):
            seed += 1
            (tmp_path / f"{split}{index}.wav").write_bytes(encoded("wav", speech(0.3, RATE, seed), RATE))
            lines.append(f"{split}{index}.wav\tSay {'abcdefghijkl'[index]} {split}!\t{split}{index}\t{split}")
        (tmp_path / f"{split}.tsv").write_text("\n".join(lines))
    return tmp_path


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file in which each recording is noted that is read for a shard."""
    log, read = tmp_path / "log", RecordedCorpus.read
    monkeypatch.setattr(render_module, "ProcessPoolExecutor", _InThisProcess)

    def noted(self: RecordedCorpus, path: Path) -> object:
        with log.open("a") as stream:
            stream.write(f"{path.name}\n")
        return read(self, path)

    monkeypatch.setattr(RecordedCorpus, "read", noted)
    return log


class _InThisProcess:
    """Runs what a pool of processes would, at once."""

    def __init__(self, *_: object, initargs: tuple[object, object], **__: object) -> None:
        render_module._Worker.rendered, render_module._Worker.stop = initargs

    def __enter__(self) -> "_InThisProcess":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, work, job):
        future = render_module.Future()
        try:
            future.set_result(work(job))
        except Exception as error:
            future.set_exception(error)
        return future

    def shutdown(self, **_: object) -> None:
        pass


def prepared(root: Path, folder: Path, **settings: object) -> Index:
    corpus = settings.pop("corpus", Manifest())
    return prepare(corpus, folder, root=root, sample_rate=RATE, units=UnitsConfig(), num_workers=1, **settings)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def replace_line(root: Path, old: str, new: str, name: str = "train.tsv") -> None:
    text = (root / name).read_text()
    assert old in text
    (root / name).write_text(text.replace(old, new))


def read_since(log: Path) -> list[str]:
    names = log.read_text().split() if log.exists() else []
    log.unlink(missing_ok=True)
    return sorted(names)


def test_a_replaced_recording_is_named_and_alone_prepared_anew(
    root: Path, rendered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    prepared(root, folder)
    assert len(read_since(rendered)) == 20
    (root / "train3.wav").write_bytes(encoded("wav", speech(0.3, RATE, 99), RATE))  # of the same length
    os.utime(root / "train5.wav")  # touched, not changed
    capsys.readouterr()
    index = prepared(root, folder)
    assert read_since(rendered) == ["train3.wav"]
    told = capsys.readouterr().out
    assert "changes since it was prepared: 1; only they are prepared anew" in told
    assert "train3: its recording has changed (train3.wav)" in told and "train5" not in told
    assert index == prepared(root, tmp_path / "elsewhere" / "afresh")
    assert contents(folder) == contents(tmp_path / "elsewhere" / "afresh")
    assert prepared(root, folder) == index
    assert len(read_since(rendered)) == 20  # of `afresh` alone


def test_edited_added_and_removed_lines_are_prepared_anew_alone(root: Path, rendered: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    prepared(root, folder)
    read_since(rendered)
    replace_line(root, "Say b train!", "Say q train!")
    replace_line(root, "train7.wav\tSay h train!\ttrain7\ttrain\n", "")
    (root / "new.wav").write_bytes(encoded("wav", speech(0.4, RATE, 98), RATE))
    replace_line(root, "audio\ttext\tid\tspeaker", "audio\ttext\tid\tspeaker\nnew.wav\tnew\tnew\tann")
    index = prepared(root, folder)
    assert read_since(rendered) == ["new.wav", "train1.wav"]  # whatever else the new order has moved
    assert "q" in units_from_dict(index.units).to_dict()["characters"]
    assert index == prepared(root, tmp_path / "elsewhere" / "afresh")
    assert contents(folder) == contents(tmp_path / "elsewhere" / "afresh")


def test_a_change_of_writing_alone_is_none(root: Path, rendered: Path, tmp_path: Path) -> None:
    index = prepared(root, tmp_path / "out")
    read_since(rendered)
    replace_line(root, "Say b train!", "\u200bSAY “b”, train")
    assert prepared(root, tmp_path / "out") == index
    assert not read_since(rendered)


def test_a_copy_of_the_recordings_is_the_same(root: Path, rendered: Path, tmp_path: Path) -> None:
    index = prepared(root, tmp_path / "out")
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in [*root.glob("*.wav"), *root.glob("*.tsv")]:
        (copy / path.name).write_bytes(path.read_bytes())
    read_since(rendered)
    assert prepared(copy, tmp_path / "out") == index
    assert not read_since(rendered)


def test_shards_that_are_gone_or_cut_short_are_written_again(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    prepared(root, folder)
    whole = contents(folder)
    (folder / "train-000001.tar").unlink()
    (folder / "dev-000000.tar").write_bytes(whole["dev-000000.tar"][:-10000])
    prepared(root, folder)
    assert contents(folder) == whole


def test_an_interrupted_update_goes_on(root: Path, rendered: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    prepared(root, folder)
    good = (root / "train2.wav").read_bytes()
    (root / "train2.wav").write_bytes(b"")
    (root / "train3.wav").write_bytes(encoded("wav", speech(0.5, RATE, 97), RATE))
    with pytest.raises(FoldError, match=r"1 recordings cannot be used: .*train2.wav: an empty file"):
        prepared(root, folder)
    assert not (folder / INDEX_FILE).exists()
    (root / "train2.wav").write_bytes(good)
    read_since(rendered)
    index = prepared(root, folder)
    assert "train2.wav" not in read_since(rendered)  # its content is what it was
    assert index == prepared(root, tmp_path / "elsewhere" / "afresh")
    assert contents(folder) == contents(tmp_path / "elsewhere" / "afresh")


def test_all_bad_recordings_are_named_at_once_and_the_rest_is_kept(root: Path, rendered: Path, tmp_path: Path) -> None:
    bad = [root / f"train{index}.wav" for index in (0, 1, 2, 3, 4)]
    kept = {path: path.read_bytes() for path in bad}
    for path in bad:
        path.write_bytes(b"no audio")
    folder = tmp_path / "out"
    with pytest.raises(FoldError, match=r"5 recordings cannot be used: .*; and 2 more, all of them in .*refused.txt$"):
        prepared(root, folder)
    told = (folder / REFUSED_FILE).read_text().splitlines()
    assert sorted(line.split(": ")[0] for line in told) == [str(path) for path in bad]
    for path, content in kept.items():
        path.write_bytes(content)
    read_since(rendered)
    prepared(root, folder)
    assert not any(name.startswith(("dev", "test")) for name in read_since(rendered))
    assert contents(folder) == contents_of_afresh(root, tmp_path)


def contents_of_afresh(root: Path, tmp_path: Path) -> dict[str, bytes]:
    prepared(root, tmp_path / "elsewhere" / "afresh")
    return contents(tmp_path / "elsewhere" / "afresh")


def test_flaws_that_are_borne_are_told(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sound = speech(0.5, RATE, 96)
    (root / "dev0.wav").write_bytes(encoded("wav", np.stack([sound, -0.8 * sound], 1), RATE))
    (root / "dev1.wav").write_bytes((root / "dev1.wav").read_bytes()[:3000])
    prepared(root, tmp_path / "out", corpus=Manifest(max_lost=1.0))
    told = capsys.readouterr().out
    assert "dev0.wav: its 2 channels cancel each other" in told
    assert "dev1.wav: 0.2 s of 0.3 s are there" in told


def as_an_earlier_version_left_it(folder: Path, digest: str) -> None:
    """Without a word on what shards were made from, and with units that know of no writing."""
    for path in folder.glob("*.sources.json"):
        path.unlink()
    description = json.loads((folder / "description.json").read_bytes())
    (folder / "description.json").write_text(json.dumps({**description, "recipes": digest}))


def test_folders_of_earlier_versions_are_taken_as_they_are(root: Path, rendered: Path, tmp_path: Path) -> None:
    index = prepared(root, tmp_path / "out")
    recipes = {split: Manifest().subsets(split, root) for split in SPLITS}
    lowered = {
        split: {name: [_lowered(recipe) for recipe in listed] for name, listed in subsets.items()}
        for split, subsets in recipes.items()
    }
    as_an_earlier_version_left_it(tmp_path / "out", _digest(lowered))
    read_since(rendered)
    assert prepared(root, tmp_path / "out") == index
    assert not read_since(rendered)
    assert not list((tmp_path / "out").glob("*.sources.json"))
    replace_line(root, "Say b train!", "Say q train!")
    with pytest.raises(
        FoldError, match=r"was prepared from other recordings \(their list or their transcripts differ\)"
    ):
        prepared(root, tmp_path / "out")


def _lowered(recipe):
    return replace(recipe, text=" ".join(recipe.text.lower().split()))


@pytest.mark.parametrize("other", ["dev", "test"])
def test_a_recording_in_two_splits_is_refused(other: str, root: Path, tmp_path: Path) -> None:
    chapter = tmp_path / "libri" / "train" / "1" / "2"
    chapter.mkdir(parents=True)
    (chapter / "1-2-3.flac").write_bytes(encoded("flac", speech(0.3)))
    (chapter / "1-2.trans.txt").write_text("1-2-3 ONE\n")
    for split in {"dev", "test"} - {other}:
        folder = tmp_path / "libri" / split / "1" / split
        folder.mkdir(parents=True)
        (folder / "1-3-3.flac").write_bytes(encoded("flac", speech(0.3, seed=1)))
        (folder / "1-3.trans.txt").write_text("1-3-3 TWO\n")
    (tmp_path / "libri" / "linked").symlink_to(tmp_path / "libri" / "train")
    for name in ("train", "linked"):
        splits = {"train": ["train"], "dev": ["dev"], "test": ["test"], other: [name]}
        with pytest.raises(FoldError, match=rf"1-2-3.flac is in the splits 'train' and '{other}'; what is trained"):
            prepared(tmp_path / "libri", tmp_path / "out", corpus=LibriSpeech(**splits))


def test_what_splits_share_is_told(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "test1.wav").write_bytes((root / "train1.wav").read_bytes())
    replace_line(root, "Say a test!\ttest0\ttest", "say a train\ttest0\ttrain", "test.tsv")
    prepared(root, tmp_path / "out")
    told = capsys.readouterr().out
    assert "test shares with train: 1 recordings (copies of the same file), 1 of 4 transcripts, 1 of 2 speakers" in told
    assert "dev shares" not in told


def test_transcripts_are_normalised_and_what_is_dropped_is_told(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replace_line(root, "Say b train!", "\ufeffI\u0307LK  IRMAK\u200b — 3 x")
    index = prepared(root, tmp_path / "out", text=Normaliser("tr"))
    told = capsys.readouterr().out
    assert "dropped from the transcripts: 19 x !, 1 x " in told
    assert "U+FEFF (zero width no-break space)" in told and "U+200B (zero width space)" in told
    assert "transcripts with digits, which are not how words are spoken: 1" in told
    units = units_from_dict(index.units)
    assert units.normaliser == Normaliser("tr") and read_index(tmp_path / "out") == index
    assert units.written("İLK ırmak!") == "ilk ırmak"
    assert set(units.to_dict()["characters"]) >= set("ilk ırmak3") and "!" not in units.to_dict()["characters"]


def test_transcripts_that_leave_nothing_or_hold_digits_are_refused(root: Path, tmp_path: Path) -> None:
    replace_line(root, "Say b train!", "3 …")
    with pytest.raises(FoldError, match=r"1 transcripts hold digits, such as that of 'train1', '3 …'"):
        prepared(root, tmp_path / "out", text=Normaliser(digits="refuse"))
    replace_line(root, "3 …", "½ hour")
    with pytest.raises(FoldError, match=r"1 transcripts hold digits, such as that of 'train1', '½ hour'"):
        prepared(root, tmp_path / "out", text=Normaliser(digits="refuse"))
    replace_line(root, "½ hour", "…")
    with pytest.raises(FoldError, match=r"nothing is left of the transcript of 'train1', '…'"):
        prepared(root, tmp_path / "out")


def test_samples_are_taken_over_as_they_were(root: Path, tmp_path: Path) -> None:
    prepared(root, tmp_path / "out")
    shard = tmp_path / "out" / "train-000000.tar"
    samples = read_samples(shard, 0)
    id = json.loads(sources_path(shard).read_bytes())[0][0]
    np.testing.assert_allclose(samples, Manifest().read(root / f"{id}.wav")[0], atol=1 / 32768)


def test_what_stands_in_brackets_is_told(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    replace_line(root, "Say b train!", "one <UNK> [BUZZ] two <UNK>")
    index = prepared(root, tmp_path / "kept")
    told = capsys.readouterr().out
    assert "whose words are kept (data.text.tags=drop leaves them out): 2 x <UNK>, 1 x [BUZZ]" in told
    assert "z" in units_from_dict(index.units).symbols
    index = prepared(root, tmp_path / "without", text=Normaliser(tags="drop"))
    assert "in the transcripts, left out: 2 x <UNK>, 1 x [BUZZ]" in capsys.readouterr().out
    assert "z" not in units_from_dict(index.units).symbols
    with pytest.raises(
        FoldError, match=r"1 transcripts hold tags, such as that of 'train1', 'one <UNK> .*; set text.t"
    ):
        prepared(root, tmp_path / "none", text=Normaliser(tags="refuse"))


@pytest.mark.parametrize("word", ["IĞDIR Isparta ılık", "İzmir"])
def test_turkish_needs_its_language(word: str, root: Path, tmp_path: Path) -> None:
    replace_line(root, "Say b train!", word)
    with pytest.raises(FoldError, match=rf"such as that of 'train1', '{word}'; set --data.text.language=tr \(or az\)"):
        prepared(root, tmp_path / "out")
    for text in (Normaliser("tr"), Normaliser("en"), Normaliser(case="keep")):
        prepared(root, tmp_path / f"out-{text.language}-{text.case}", text=text)

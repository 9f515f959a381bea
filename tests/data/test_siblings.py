"""Other units, or another list of one split, need no audio anew that a folder beside holds already."""

import os
from pathlib import Path
from typing import Any

import pytest
import soundfile
from audio_files import speech

from fold.data import prepare as prepare_module
from fold.data import render as render_module
from fold.data.corpora import Manifest
from fold.data.index import Index
from fold.data.prepare import prepare, prepared_name
from fold.errors import FoldError
from fold.text.units import UnitsConfig

RATE = 8000
PIECES = UnitsConfig("sentencepiece", 12)
LISTS = {"train": 6, "dev": 3, "test": 3, "other": 2}


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render_module, "UTTERANCES_PER_SHARD", 3)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Lists and their recordings, in whose folder `shards` is."""
    seed = 0
    for name, number in LISTS.items():
        lines = ["audio\ttext"]
        for index in range(number):
            seed += 1
            soundfile.write(tmp_path / f"{name}{index}.wav", speech(0.3, RATE, seed), RATE)
            lines.append(f"{name}{index}.wav\tsay {'abcdefghij'[index]}")
        (tmp_path / f"{name}.tsv").write_text("\n".join(lines))
    return tmp_path


def prepared(root: Path, units: UnitsConfig = UnitsConfig(), **settings: Any) -> tuple[Path, Index]:
    corpus = Manifest(**settings)
    folder = root / "shards" / prepared_name(corpus, RATE, units)
    return folder, prepare(corpus, folder, root=root, sample_rate=RATE, units=units, num_workers=1)


def shared(one: Path, other: Path) -> set[str]:
    """Shards that both folders hold as one file."""
    files = {(path.stat().st_ino, path.stat().st_dev) for path in one.glob("*.tar")}
    return {path.name for path in other.glob("*.tar") if (path.stat().st_ino, path.stat().st_dev) in files}


ALL = {"train-000000.tar", "train-000001.tar", "dev-000000.tar", "test-000000.tar"}


@pytest.mark.parametrize(
    ("settings", "units", "same"),
    [
        ({}, PIECES, ALL),
        ({"dev": "other.tsv"}, UnitsConfig(), ALL - {"dev-000000.tar"}),
        ({"test": {"test": "test.tsv", "other": "other.tsv"}}, PIECES, ALL),
        ({"max_lost": 0.5}, UnitsConfig(), set()),
        ({"channel": "left"}, UnitsConfig(), set()),
    ],
)
def test_what_is_the_same_is_taken(
    settings: dict[str, Any], units: UnitsConfig, same: set[str], root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, _ = prepared(root)
    capsys.readouterr()
    second, index = prepared(root, units, **settings)
    assert shared(first, second) == same
    told = f"{len(same)} of {len(list(second.glob('*.tar')))} shards are those of {first}"
    assert (told in capsys.readouterr().out) == bool(same)
    # It is what it would be without the first.
    for path in [*first.iterdir()]:
        path.unlink()
    for path in second.glob("*.tar"):
        path.unlink()
    assert prepared(root, units, **settings) == (second, index)


def test_what_has_changed_is_not_taken(root: Path) -> None:
    first, _ = prepared(root)
    soundfile.write(root / "dev1.wav", speech(0.4, RATE, 99), RATE)
    (root / "test.tsv").write_text((root / "test.tsv").read_text().replace("say b", "say bee"))
    (first / "train-000001.tar").write_bytes(b"damaged")
    second, _ = prepared(root, units=PIECES)
    assert shared(first, second) == {"train-000000.tar"}


def test_a_folder_that_changes_meanwhile_gives_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, index = prepared(root)
    link = os.link

    def meanwhile(path: Path, to: Path) -> None:
        link(path, to)
        (first / "index.json").unlink(missing_ok=True)

    monkeypatch.setattr(os, "link", meanwhile)
    second, again = prepared(root, units=PIECES)
    assert shared(first, second) == set() and again.splits == index.splits


def test_one_goes_on_without_the_other(root: Path) -> None:
    """A change writes new files, and does not touch those that both have."""
    first, _ = prepared(root)
    second, _ = prepared(root, units=PIECES)
    soundfile.write(root / "dev1.wav", speech(0.4, RATE, 99), RATE)
    before = {path.name: path.read_bytes() for path in second.glob("*.tar")}
    prepared(root)
    assert {path.name: path.read_bytes() for path in second.glob("*.tar")} == before
    assert shared(first, second) == ALL - {"dev-000000.tar"}


def test_shards_that_cannot_be_written_are_used_as_they_are(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, index = prepared(root)
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}

    def refused(_: Path) -> None:
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr(prepare_module, "locked", refused)
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    assert prepared(root) == (folder, index)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    with pytest.raises(FoldError, match=r"no shards are there, and none can be written there: set data\.shards"):
        prepared(root, units=PIECES)
    (root / "test.tsv").write_text((root / "test.tsv").read_text().replace("say b", "say bee"))
    with pytest.raises(FoldError, match=r"holds other recordings or transcripts, and cannot be written: set data"):
        prepared(root)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before

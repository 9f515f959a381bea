"""Recordings of one's own, listed in one manifest file per split: no code needed."""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fold.data.corpora.base import MAX_ID_BYTES, SPLITS, Recipe, by_subset, is_valid_id
from fold.data.corpora.recorded import RecordedCorpus, Recording, folder_of, text_of
from fold.errors import FoldError

REQUIRED = ("audio", "text")
KEYS = (*REQUIRED, "speaker", "id")


@dataclass(frozen=True)
class Manifest(RecordedCorpus):
    """Any recordings, in any format and sample rate that libsndfile reads, with their transcripts.

    A manifest is a TSV file whose first line names its columns, or a JSONL file with an object a line. Columns or keys:
    `audio` (path, relative to the manifest's folder or absolute), `text`, and, if wanted, `speaker` (default:
    `unknown`) and `id` (letters, digits, `-` and `_`; default: made from the path). Further ones are ignored.

    Args:
        train: Manifest file, relative to the root; `.tsv` or `.jsonl`. Several of a split by names of their own,
            `{clean: test_clean.tsv, noisy: test_noisy.tsv}`, are subsets, evaluated apart.
        dev: Likewise, of the dev split.
        test: Likewise, of the test split.
    """

    train: str | dict[str, str] = "train.tsv"
    dev: str | dict[str, str] = "dev.tsv"
    test: str | dict[str, str] = "test.tsv"

    layout = "a manifest for each split, with columns audio, text and, if wanted, speaker and id"

    def locate(self, root: Path | None, downloads: Path) -> Path:
        found = super().locate(root, downloads)
        for manifest in self._files():
            if not (found / manifest).is_file():
                raise FoldError(f"{self.name}: no file {found / manifest}; expected {self.layout}")
        self._keep_apart(found)
        return found

    def _keep_apart(self, root: Path) -> None:
        """Raises FoldError if two manifests share a recording: what is trained on is no test."""
        seen: dict[Path, str] = {}
        for manifest in self._files():
            here: set[Path] = set()
            for line, row in _read_rows(root / manifest):
                recording = (root / Path(manifest).parent / row["audio"]).resolve()
                if recording in seen:
                    where = f"{root / manifest}:{line}"
                    raise FoldError(f"{where}: the recording {row['audio']} is in {seen[recording]} already")
                here.add(recording)
            seen |= dict.fromkeys(here, manifest)

    def fetch(self, downloads: Path) -> Path:
        lists = ", ".join(self._files())
        raise FoldError(f"{self.name}: there is nothing to download; give ROOT=, the folder of {lists}")

    def recipes(self, split: str, root: Path | None) -> list[Recipe]:
        return [recording for listed in self.subsets(split, root).values() for recording in listed]

    def subsets(self, split: str, root: Path | None) -> dict[str, Sequence[Recipe]]:
        top = folder_of(root)
        return by_subset(split, {name: self._read(top, file) for name, file in self._manifests(split).items()})

    def _manifests(self, split: str) -> dict[str, str]:
        """Return the manifests of a split by subset."""
        given = {"train": self.train, "dev": self.dev, "test": self.test}[split]
        return {split: given} if isinstance(given, str) else given

    def _files(self) -> list[str]:
        return list(dict.fromkeys(file for split in SPLITS for file in self._manifests(split).values()))

    def _read(self, root: Path, name: str) -> list[Recording]:
        listed: dict[str, tuple[int, Recording]] = {}
        for line, row in _read_rows(root / name):
            where = f"{root / name}:{line}"
            recording = _recording(where, row, Path(name).parent)
            if recording.id in listed:
                raise FoldError(f"{where}: the id '{recording.id}' is that of line {listed[recording.id][0]} already")
            if not (root / recording.file).is_file():
                raise FoldError(f"{where}: there is no recording {root / recording.file}")
            listed[recording.id] = line, recording
        return [recording for _, recording in listed.values()]


def _recording(where: str, row: dict[str, str], folder: Path) -> Recording:
    """Return the recording of a row; `folder`, relative to the root, is the manifest's."""
    text = " ".join(row["text"].split())
    if not text or not row["audio"]:
        raise FoldError(f"{where}: empty {'audio' if text else 'text'}")
    id = row["id"] or _id_of(row["audio"])
    if not is_valid_id(id):
        raise FoldError(f"{where}: the id '{id}' may hold letters, digits, - and _ only, {MAX_ID_BYTES} bytes of them")
    return Recording(id, text, row["speaker"] or "unknown", (folder / row["audio"]).as_posix())


def _id_of(audio: str) -> str:
    """Return a legible id; the digest tells apart what differs in other characters or further ahead."""
    legible = re.sub(r"[^A-Za-z0-9-]+", "_", os.path.splitext(audio)[0])
    return f"{legible[-60:]}-{hashlib.sha256(audio.encode()).hexdigest()[:10]}"


def _read_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield number and values of every line of a manifest that is not blank; optional values may be empty."""
    parse = {".tsv": _parse_tsv, ".jsonl": _parse_jsonl}.get(path.suffix)
    if parse is None:
        raise FoldError(f"{path}: the name of a manifest ends in .tsv or .jsonl")
    # Not splitlines, which also splits at characters that a transcript may hold.
    lines = [(number, line.rstrip("\r")) for number, line in enumerate(text_of(path).split("\n"), 1) if line.strip()]
    for number, row in parse(path, lines):
        for key in KEYS:
            if not isinstance(row.get(key), str | None):
                raise FoldError(f"{path}:{number}: {key} is {row[key]!r}, expected text")
        yield number, {key: (row.get(key) or "").strip() for key in KEYS}


def _parse_tsv(path: Path, lines: list[tuple[int, str]]) -> Iterator[tuple[int, dict[str, str]]]:
    if not lines:
        return
    first, header = lines[0]
    columns = header.split("\t")
    _check_keys(f"{path}:{first}", "column", columns)
    for number, line in lines[1:]:
        fields = line.split("\t")
        if len(fields) != len(columns):
            raise FoldError(f"{path}:{number}: {len(fields)} columns between tabs, the first line has {len(columns)}")
        yield number, dict(zip(columns, fields, strict=True))


def _parse_jsonl(path: Path, lines: list[tuple[int, str]]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in lines:
        try:
            row = json.loads(line)
            json.dumps(row, ensure_ascii=False).encode()  # halves of a surrogate pair are no text
        except ValueError as error:
            raise FoldError(f"{path}:{number}: no JSON ({error})") from None
        if not isinstance(row, dict):
            raise FoldError(f'{path}:{number}: expected an object such as {{"audio": "a.wav", "text": "yes"}}')
        _check_keys(f"{path}:{number}", "key", row)
        yield number, row


def _check_keys(where: str, kind: str, found: Iterable[str]) -> None:
    for key in REQUIRED:
        if key not in found:
            raise FoldError(f"{where}: no {kind} '{key}'; there are: {', '.join(found)}")

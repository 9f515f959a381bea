"""Word errors, and the list of what was said."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from fold_device.errors import DeviceError

PARTS = ("start", "seconds", "end")
"""Columns of a list that tell which part of a recording an utterance is."""


def word_errors(reference: str, hypothesis: str) -> int:
    """Substitutions, deletions and insertions of a minimal alignment. Words are separated by white space."""
    said, heard = reference.split(), hypothesis.split()
    before = list(range(len(heard) + 1))
    for i, word in enumerate(said, start=1):
        row = [i]
        for j, other in enumerate(heard, start=1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (word != other)))
        before = row
    return before[-1]


def wer(references: Mapping[str, str], hypotheses: Mapping[str, str]) -> float:
    """Word error rate in percent."""
    errors = sum(word_errors(references[file], text) for file, text in hypotheses.items())
    return 100 * errors / max(count_words(references[file] for file in hypotheses), 1)


def count_words(texts: Iterable[str]) -> int:
    """The number of words."""
    return sum(len(text.split()) for text in texts)


def read_transcripts(file: str | Path) -> dict[str, str]:
    """What is said in audio files, by their paths: a list as fold's manifests are.

    The first line names the columns, separated by tabs, of which `audio` (relative to the list) and `text` are read.
    Raises DeviceError, also for utterances that are parts of a recording: files are heard whole.
    """
    file = Path(file)
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
            if not {"audio", "text"} <= set(reader.fieldnames or ()):
                raise DeviceError(f"{file}: its first line names no columns audio and text, separated by a tab")
            rows = list(reader)
    except (OSError, UnicodeDecodeError) as error:
        raise DeviceError(f"{file}: {getattr(error, 'strerror', None) or error}") from None
    said: dict[str, str] = {}
    for number, row in enumerate(rows, start=2):
        if not row["audio"] or row["text"] is None:
            raise DeviceError(f"{file}, line {number}: expected a file and its text")
        audio = str(file.parent / row["audio"])
        if audio in said or any(row.get(column) for column in PARTS):
            raise DeviceError(
                f"{file}, line {number}: {row['audio']} again, or a part of it; expected whole recordings, each once"
            )
        said[audio] = row["text"]
    if not said:
        raise DeviceError(f"{file}: lists no audio")
    return said

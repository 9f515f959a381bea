"""Folders as Kaldi has them: `wav.scp` and `text`, and if there are such, `segments` and `utt2spk`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fold.data.corpora.recorded import text_of
from fold.errors import FoldError

RECORDINGS, TEXT, SEGMENTS, SPEAKERS = "wav.scp", "text", "segments", "utt2spk"


def is_kaldi(path: Path) -> bool:
    """Return whether a path is a folder of Kaldi's."""
    return (path / RECORDINGS).is_file()


def read_kaldi(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield place (`FILE:LINE`) and values (audio, text, speaker, id, and of segments start and seconds) of every
    utterance, in the order of `text`.

    Raises:
        FoldError: a file cannot be read, a recording is a command, or the files do not fit together.
    """
    recordings, texts = _table(folder / RECORDINGS), _table(folder / TEXT)
    for where, audio in recordings.values():
        if audio.endswith("|"):
            raise FoldError(f"{where}: a command, not a file: run it, and name the file that it writes")
    segmented = (folder / SEGMENTS).is_file()
    segments = _table(folder / SEGMENTS) if segmented else {id: (where, id) for id, (where, _) in recordings.items()}
    spoken = (folder / SPEAKERS).is_file()
    speakers = _table(folder / SPEAKERS) if spoken else {id: (where, "") for id, (where, _) in texts.items()}
    for id, (where, _) in segments.items():
        if id not in texts:
            raise FoldError(f"{where}: '{id}' has no line in {folder / TEXT}")
    for id, (where, text) in texts.items():
        if id not in segments:
            raise FoldError(f"{where}: '{id}' has no line in {folder / (SEGMENTS if segmented else RECORDINGS)}")
        if id not in speakers:
            raise FoldError(f"{where}: '{id}' has no line in {folder / SPEAKERS}")
        recording, *times = segments[id][1].split()
        if recording not in recordings:
            raise FoldError(f"{segments[id][0]}: the recording '{recording}' has no line in {folder / RECORDINGS}")
        row = {"id": id, "text": text, "speaker": speakers[id][1], "audio": recordings[recording][1]}
        yield where, row | (_segment(segments[id][0], times) if segmented else {})


def _segment(where: str, times: list[str]) -> dict[str, str]:
    """Start and length, in seconds, of a line `UTTERANCE RECORDING START END`; -1 is the end of the recording."""
    try:
        start, end = map(float, times)
    except ValueError:
        raise FoldError(f"{where}: expected 'UTTERANCE RECORDING START END', both in seconds") from None
    return {"start": times[0], "seconds": "" if end == -1 else f"{end - start:.6f}"}


def _table(path: Path) -> dict[str, tuple[str, str]]:
    """The lines of a file by their first word: place and the rest. Raises FoldError if two have the same."""
    found: dict[str, tuple[str, str]] = {}
    for number, line in enumerate(text_of(path).split("\n"), 1):
        if line.strip():
            key, *rest = line.split(maxsplit=1)
            if key in found:
                raise FoldError(f"{path}:{number}: '{key}' has a line already, {found[key][0]}")
            found[key] = f"{path}:{number}", "".join(rest).strip()
    return found

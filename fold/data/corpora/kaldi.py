"""Folders as Kaldi has them: `wav.scp` and `text`, and if there are such, `segments`, `utt2spk` and
`reco2file_and_channel`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from fold.data.corpora.recorded import text_of
from fold.errors import FoldError

RECORDINGS, TEXT, SEGMENTS, SPEAKERS = "wav.scp", "text", "segments", "utt2spk"
CHANNELS = "reco2file_and_channel"
NUMBERS = {"A": "1", "B": "2", "1": "1", "2": "2"}
"""Numbers of channels by what Kaldi calls them."""


def is_kaldi(path: Path) -> bool:
    """Return whether a path is a folder of Kaldi's."""
    return (path / RECORDINGS).is_file()


def read_kaldi(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield place (`FILE:LINE`) and values (audio, text, speaker, id, of segments start and seconds, and of recordings
    that share a file the channel) of every utterance, in the order of `text`.

    Raises:
        FoldError: a file cannot be read, a recording is a command, the files do not fit together, or nothing tells
            which channels of a file its recordings are.
    """
    recordings, texts = _table(folder / RECORDINGS), _table(folder / TEXT)
    for where, audio in recordings.values():
        if audio.endswith("|"):
            raise FoldError(f"{where}: a command, not a file: run it, and name the file that it writes")
    channels = _channels(folder, recordings)
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
        row["channel"] = channels.get(recording, "")
        yield where, row | (_segment(segments[id][0], times) if segmented else {})


def _channels(folder: Path, recordings: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """The channels of the recordings that share a file with another; those that have one alone are all of it, whatever
    channel of another file they may have been."""
    by_file: dict[str, list[str]] = {}
    for id, (_, audio) in recordings.items():
        by_file.setdefault(os.path.normpath(audio), []).append(id)
    sharing = [id for ids in by_file.values() if len(ids) > 1 for id in ids]
    told = _table(folder / CHANNELS) if sharing and (folder / CHANNELS).is_file() else {}
    found = {}
    for id in sharing:
        where, line = told.get(id, (recordings[id][0], ""))
        channel = line.split()[-1] if line else ""
        if channel not in NUMBERS:
            raise FoldError(
                f"{where}: '{id}' shares its file with another recording; expected a line '{id} FILE CHANNEL' in "
                f"{folder / CHANNELS}, with channel A, B, 1 or 2"
            )
        found[id] = NUMBERS[channel]
    return found


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

"""What is in a tar that somebody else wrote: its samples, and where their recordings lie in it."""

from __future__ import annotations

import io
import json
import math
import os
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, NamedTuple

from fold.data.corpora.lists import Row, parse_rows, part_told, value_at
from fold.data.corpora.recorded import decoded
from fold.data.corpora.segments import LENGTH_SHARE, TOLERANCE, part_fault
from fold.errors import FoldError

MAX_TEXT_BYTES = 1 << 26  # of a member that is no recording
MAX_AUDIO_BYTES = (1 << 31) - 1
INSIDE = "member:"
"""Before the name of a list that lies in each shard."""
_SKIPPED = re.compile(r"(.*/)?(__[^/]*__($|/)|\.(?!\.?/))")  # as webdataset does, and files hidden by name


@dataclass(frozen=True)
class Layout:
    """Which members make a sample.

    Attributes:
        audio: extensions of recordings.
        text, speaker: extensions of members that hold them, `EXTENSION:KEY` for JSON; the first that is there.
        listed: whether lists hold the transcripts; keys then end at the last dot of a name, else at the first.
        inside: name of the members that are such lists; '' if they lie elsewhere.
        columns: of lists.
    """

    audio: tuple[str, ...]
    text: tuple[str, ...]
    speaker: tuple[str, ...]
    listed: bool
    inside: str
    columns: dict[str, str]


class Sample(NamedTuple):
    """A sample of a tar. name: of its recording; head: the first field of that member's header; offset, num_bytes: of
    the recording; frames: samples of a channel; fault: why it cannot be used, '' if it can; notice: what is wrong
    though it can."""

    key: str
    name: str
    head: str
    offset: int
    num_bytes: int
    frames: int
    sample_rate: int
    text: str
    speaker: str
    fault: str = ""
    notice: str = ""


class Sound(NamedTuple):
    """What a recording holds. frames: samples of a channel; notice: as of a sample."""

    frames: int
    sample_rate: int
    notice: str


Listen = Callable[[str, IO[bytes]], Sound]
"""Reads a recording, given its name and an open stream of its bytes. Raises FoldError if it cannot be used."""


class _Member(NamedTuple):
    name: str
    extension: str
    head: str
    offset: int
    num_bytes: int


def scan(name: str, stream: IO[bytes], layout: Layout, listen: Listen) -> list[Sample]:
    """Return the samples of a tar, whose name is for messages, in its order.

    A sample that cannot be used is among them, with its fault.

    Raises:
        FoldError: it is no tar, or a damaged one, or two members are the same of one sample.
    """
    samples: dict[str, dict[str, _Member]] = {}
    rows: dict[str, dict[str, str]] = {}
    for key, member in _members(name, stream, layout):
        if layout.inside and os.path.basename(member.name) == layout.inside:
            folder = os.path.dirname(member.name)
            add_rows(rows, f"{name}:{member.name}", _content(stream, member), layout.columns, folder)
            continue
        parts = samples.setdefault(key, {})
        if member.extension in parts:
            raise FoldError(f"{name}: two members are called '{member.name}'")
        parts[member.extension] = member
    if layout.inside and not rows:
        raise FoldError(f"{name}: there is no list '{layout.inside}' in it")
    found = [_sample(name, stream, key, parts, layout, listen) for key, parts in samples.items()]
    return joined(found, rows)[0] if layout.inside else [sample for sample in found if sample]


def add_rows(rows: dict[str, Row], place: str, content: bytes, columns: Mapping[str, str], folder: str = "") -> None:
    """Adds the lines of a list by the name of their recording.

    Args:
        rows: lines of other lists, to which these are added.
        place: of the list, for messages; it tells of which kind it is.
        content: of the list.
        columns: what the list calls its columns.
        folder: before its names of recordings.

    Raises:
        FoldError: it cannot be read, one recording has two lines that differ, or one is of a part of a recording.
    """
    for where, row in parse_rows(place, content, columns):
        name = os.path.join(folder, row["audio"])
        if part := ", ".join(f"{key} {row[key]}" for key in ("start", "end") if row[key].strip("0.")):
            raise FoldError(
                f"{where}: {part}: of recordings in shards no parts are read; write each part as a recording of its own"
            )
        if name in rows and any(rows[name][key] != row[key] for key in ("text", "seconds")):
            raise FoldError(f"{where}: '{row['audio']}' has another line already, with another text or length")
        rows[name] = row


def joined(samples: list[Sample | None], rows: Mapping[str, Mapping[str, str]]) -> tuple[list[Sample], list[Sample]]:
    """Return the samples that are listed, with transcripts and speakers of the lists, and the others.

    rows: lines of lists, by name or key of the recording.
    """
    listed, others = [], []
    for sample in samples:
        if sample is None:
            continue
        row = rows.get(sample.name.removeprefix("./")) or rows.get(sample.key)
        if row is None:
            others.append(sample)
        else:
            fault = sample.fault or ("" if row["text"] else "no transcript in its list") or _length_fault(sample, row)
            listed.append(sample._replace(text=row["text"], speaker=row["speaker"], fault=fault))
    return listed, others


def _length_fault(sample: Sample, row: Mapping[str, str]) -> str:
    """How long a recording should be by its list, if it is not."""
    if not row["seconds"]:
        return ""
    seconds = sample.frames / sample.sample_rate
    try:
        difference = abs(float(row["seconds"]) - seconds)
    except ValueError:
        return f"its list tells of '{row['seconds']}' seconds, expected a number"
    if difference <= max(TOLERANCE, LENGTH_SHARE * seconds):
        return ""
    return f"it lasts {seconds:.2f} s, but by its list {row['seconds']} s; no parts are read"


def _members(name: str, stream: IO[bytes], layout: Layout) -> Iterator[tuple[str, _Member]]:
    """The regular members of a tar that have an extension, with their keys."""
    for info in regular_members(name, stream):
        key, extension = _split(info.name, layout)
        if key and not _SKIPPED.match(info.name):
            stream.seek(info.offset_data - tarfile.BLOCKSIZE)
            head = stream.read(tarfile.LENGTH_NAME).rstrip(b"\0").decode("latin-1")
            yield key, _Member(info.name, extension.lower(), head, info.offset_data, info.size)


def regular_members(name: str, stream: IO[bytes]) -> Iterator[tarfile.TarInfo]:
    """The members of an open tar that are files. name: for messages. Raises FoldError if it is no tar, or damaged."""
    end = 0
    try:
        with tarfile.open(fileobj=stream, mode="r:") as tar:
            while (info := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # which it would keep
                if info.size < 0 or tar.offset <= end:  # sizes that lead back: it would go on for ever
                    raise tarfile.ReadError(f"at byte {end}")
                end = tar.offset
                if info.isreg():
                    yield info
            end = tar.offset
    except (tarfile.TarError, ValueError, OverflowError, EOFError) as error:  # whatever a damaged header leads to
        stream.seek(0)
        packed = stream.read(2) == b"\x1f\x8b"
        hint = (
            "packed by gzip: unpack it, as one cannot seek in it" if packed else f"no tar, or a damaged one ({error})"
        )
        raise FoldError(f"{name}: {hint}") from None
    stream.seek(end)
    if any(stream.read(tarfile.BLOCKSIZE)):  # what is no header, where the next or the end should be
        raise FoldError(f"{name}: damaged at byte {end}")


def _split(name: str, layout: Layout) -> tuple[str, str]:
    """Key and extension of a member; '' if it has none. `tar -c .` writes ./ before all names."""
    name = name.removeprefix("./")
    if layout.listed:
        key, extension = os.path.splitext(name)
        return (key, extension[1:]) if extension else ("", "")
    from webdataset.tariterators import base_plus_ext  # here, as few corpora need the package

    key, extension = base_plus_ext(name)
    return key or "", extension or ""


def _sample(
    name: str, stream: IO[bytes], key: str, parts: Mapping[str, _Member], layout: Layout, listen: Listen
) -> Sample | None:
    """A sample of these members, by extension; None if there is nothing of the kind in it."""
    audio = [ext for ext in parts if ext in layout.audio or ext.rpartition(".")[2] in layout.audio]
    if len(audio) > 1:
        dotted = "; or, as a key ends at its first dot, write names without others" if "." in "".join(audio) else ""
        raise FoldError(
            f"{name}: '{key}' has two recordings ({', '.join(audio)}); name the extension of the one to read: "
            f"data.corpus.audio=[{audio[0]}]{dotted}"
        )
    fault, text, speaker = "", "", ""
    if not layout.listed:
        try:
            text, speaker = (_told(stream, parts, places) for places in (layout.text, layout.speaker))
        except FoldError as error:
            fault = str(error)
        if not text and not audio:
            return None
        if not text and not fault:
            fault = f"no transcript (of {', '.join(layout.text)}; it has {', '.join(parts)})"
    elif not audio:
        return None
    if not audio:
        return Sample(key, "", "", 0, 0, 0, 0, text, speaker, f"no recording (it has {', '.join(parts)})")
    member = parts[audio[0]]
    sound = Sound(0, 0, "")
    try:
        if not fault:
            sound = listen(member.name, io.BytesIO(_content(stream, member, MAX_AUDIO_BYTES)))
            fault = _part_fault(stream, parts, sound)
    except FoldError as error:
        fault = str(error).removeprefix(f"{member.name}: ")
    place = (member.name, member.head, member.offset, member.num_bytes)
    return Sample(key, *place, sound.frames, sound.sample_rate, text, speaker, fault, sound.notice)


def _part_fault(stream: IO[bytes], parts: Mapping[str, _Member], sound: Sound) -> str:
    """Say that a JSON member tells of a part of the recording; "" if none does."""
    for extension, member in parts.items():
        if extension.rpartition(".")[2] != "json" or member.num_bytes > MAX_TEXT_BYTES:
            continue
        try:
            values = json.loads(_content(stream, member))
        except (ValueError, RecursionError):
            continue  # refused where it is needed
        told = part_told(values) if isinstance(values, dict) else None
        if told is not None and (fault := part_fault(told, sound.frames / sound.sample_rate, sound.sample_rate)):
            return f"it {fault}, by {member.name}; no parts are read: write each as a recording of its own"
    return ""


def _told(stream: IO[bytes], parts: Mapping[str, _Member], places: tuple[str, ...]) -> str:
    """What the first of the places that is there says, '' if none is. Raises FoldError if it says it unreadably."""
    for place in places:
        extension, _, path = place.partition(":")
        if extension not in parts:
            continue
        member = parts[extension]
        text = decoded(member.name, _content(stream, member))
        value = _in_json(member.name, text, path) if path else text
        if value is not None and str(value).strip():
            return " ".join(str(value).split())
    return ""


def _in_json(name: str, text: str, path: str) -> object:
    try:
        row = json.loads(text)
        json.dumps(row, ensure_ascii=False).encode()  # halves of a surrogate pair are no text
    except (ValueError, RecursionError) as error:
        raise FoldError(f"{name}: no JSON ({error})") from None
    value = value_at(row, path) if isinstance(row, dict) else None
    number = isinstance(value, int | float) and math.isfinite(value)  # pandas writes NaN where there is nothing
    return value if isinstance(value, str) or number else None


def _content(stream: IO[bytes], member: _Member, most: int = MAX_TEXT_BYTES) -> bytes:
    if member.num_bytes > most:
        raise FoldError(f"{member.name}: {member.num_bytes:,} bytes, more than the {most:,} that are read")
    stream.seek(member.offset)
    return stream.read(member.num_bytes)

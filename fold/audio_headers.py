"""What an audio file says of itself: its kind, how long it says it is, and where that cannot be true."""

from __future__ import annotations

import io
import re
import struct
from typing import IO, NamedTuple

HEAD_BYTES = 4096  # of a file, in which its kind can be seen
STREAMED_BYTES = 2_000_000_000  # sizes from here on stand where a program that wrote to a pipe could not know better

FOREIGN = (  # (offset, bytes there, what such a file is)
    (4, b"ftyp", "MP4 or M4A"),
    (0, b"\x1aE\xdf\xa3", "WebM or Matroska"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "WMA"),
    (0, b"#!AMR", "AMR"),
    (0, b"\xff\xf1", "AAC"),
    (0, b"\xff\xf9", "AAC"),
    (0, b"ADIF", "AAC"),
    (0, b"FLV", "FLV"),
    (0, b"\x00\x00\x01\xba", "MPEG video"),
    (8, b"AVI ", "AVI"),
    (0, b"wvpk", "WavPack"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"TTA1", "True Audio"),
    (0, b"ajkg", "Shorten"),
    (0, b"DSD ", "DSD"),
    (0, b".RMF", "RealAudio"),
)
NO_AUDIO = (  # what a file begins with, in lower case
    (b"version https://git-lfs", "a pointer of git-lfs, not the recording; run `git lfs pull`"),
    (b"<!doctype", "a web page, not audio; its download failed"),
    (b"<html", "a web page, not audio; its download failed"),
    (b"<?xml", "XML, not audio; its download failed"),
    (b"pk\x03\x04", "a zip archive, not audio; unpack it"),
    (b"\x1f\x8b", "a gzip archive, not audio; unpack it"),
)


def refusal(file: object, head: bytes) -> str | None:
    """Why a file with these first bytes cannot be read, and what to do; None for a file that may be audio."""
    if not head:
        return "an empty file"
    for start, reason in NO_AUDIO:
        if head.lstrip().lower().startswith(start):
            return reason
    for offset, magic, kind in FOREIGN:
        if head.startswith(magic, offset):
            return f"{kind}, a format that is not read; convert it with `ffmpeg -i '{file}' '{file}.wav'`"
    return None


def flac_total(stream: IO[bytes]) -> int | None:
    """The samples that a FLAC file says it has, 0 if it does not say; None if the file is of another kind.

    They stand in the lowest 36 bits of bytes 21 to 25.
    """
    stream.seek(0)
    head = stream.read(26)
    return int.from_bytes(head[21:]) & 0xFFFFFFFFF if head.startswith(b"fLaC") and len(head) == 26 else None


def nist_total(stream: IO[bytes]) -> int | None:
    """The samples of each channel that a NIST SPHERE file says it has; None if the file is of another kind."""
    stream.seek(0)
    head = stream.read(1024)
    found = re.search(rb"sample_count -i (\d+)", head)
    return int(found[1]) if found and head.startswith(b"NIST_1A") else None


class Xing(NamedTuple):
    """The frame of an MP3 file that tells its length. place: of its name; counts: whether it tells the number of
    frames; num_bytes: of the sound, this frame included, 0 if it does not tell."""

    place: int
    counts: bool
    num_bytes: int


def xing(stream: IO[bytes]) -> Xing | None:
    """What an MP3 file tells of its length; None if it tells nothing."""
    start = mp3_bounds(stream)[0]
    stream.seek(start)
    head = stream.read(256)
    for name in (b"Xing", b"Info"):
        place = head.find(name)
        if 0 <= place <= len(head) - 16:
            flags, *fields = struct.unpack(">3I", head[place + 4 : place + 16])
            num_bytes = fields[flags & 1] if flags & 2 else 0  # the second field, unless the first is left out
            return Xing(start + place, bool(flags & 1), num_bytes)
    return None


def mp3_bounds(stream: IO[bytes]) -> tuple[int, int]:
    """Where an MP3 file's sound starts and ends: after a tag and before others, if it has them."""
    stream.seek(0)
    head = stream.read(10)
    start = 0
    if len(head) == 10 and head.startswith(b"ID3"):
        start = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
    end = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, end - 128))
    if stream.read(3) == b"TAG":
        end -= 128
    stream.seek(max(0, end - 32))
    footer = stream.read(32)
    if footer.startswith(b"APETAGEX") and len(footer) == 32:
        size, flags = int.from_bytes(footer[12:16], "little"), int.from_bytes(footer[20:24], "little")
        end -= size + (32 if flags >> 31 else 0)
    return start, max(start, end)


def ogg_flaw(stream: IO[bytes]) -> str:
    """What is wrong with the pages of an Ogg file, whose last is marked as such; '' if nothing is."""
    end = stream.seek(0, io.SEEK_END)
    place, ended = 0, False
    while place < end:
        stream.seek(place)
        header = stream.read(27)
        if len(header) < 27 or not header.startswith(b"OggS"):
            return "" if ended else f"damaged at byte {place}"
        if ended and header[5] & 2:
            return "another recording follows in the same file"
        sizes = stream.read(header[26])
        place += 27 + len(sizes) + sum(sizes)
        if len(sizes) < header[26] or place > end:
            return "the file ends within a page"
        ended = bool(header[5] & 4)
    return "" if ended else "its last page is missing"


class Riff(NamedTuple):
    """The sound of a WAV file. place: of its size, 4 bytes; num_bytes: that size; unread: bytes after it that are none
    of the file's other parts: the sound goes on."""

    place: int
    num_bytes: int
    unread: int


def riff(stream: IO[bytes]) -> Riff | None:
    """Where the sound of a WAV file lies, as far as the file tells; None if it is of another kind."""
    end = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    if stream.read(4) != b"RIFF":
        return None
    place, found = 12, None
    while place + 8 <= end:
        stream.seek(place)
        name, size = struct.unpack("<4sI", stream.read(8))
        if found and not (name.isascii() and name.decode().isprintable()):
            return found._replace(unread=end - place)
        if name == b"data" and found is None:
            found = Riff(place + 4, size, 0)
        place += 8 + size + size % 2
    return found

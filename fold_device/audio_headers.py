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
HEADERLESS = (".raw", ".pcm", ".sw", ".sln", ".ul", ".ulaw", ".al", ".alaw", ".vox", ".g711", ".s16", ".f32")
"""What files of bare samples are called."""


def refusal(file: object, head: bytes) -> str | None:
    """Why a file with these first bytes cannot be read, and what to do; None for a file that may be audio."""
    if not head:
        return "an empty file"
    for start, reason in NO_AUDIO:
        if head.lstrip().lower().startswith(start):
            return reason
    for offset, magic, kind in FOREIGN:
        if head.startswith(magic, offset):
            return f"{kind}, a format that is not read; convert it with {_converted(file)}"
    return None


def advice(file: object) -> str:
    """What to do with a file that is not read, though nothing tells what it is."""
    if str(file).lower().endswith(HEADERLESS):
        told = "-f s16le -ar 16000 -ac 1 "
        return f"samples without a header get one by {_converted(file, told)}, with their own kind and rate"
    return f"if it can be played, convert it with {_converted(file)}"


def _converted(file: object, told: str = "") -> str:
    """The command that makes a file readable. told: what FFmpeg must be told of it."""
    return f"`ffmpeg {told}-i '{file}' '{file}.wav'`"


class Flac(NamedTuple):
    """What a FLAC file tells. samples: of each channel, 0 if it does not tell; top: the four bits before that number;
    rate, first_rate: in Hz, of the file and of the first frame of its sound, 0 if that does not tell."""

    samples: int
    top: int
    rate: int
    first_rate: int


FLAC_TOTAL = 21  # where the number of samples stands: the lowest 36 bits of the five bytes from there
FLAC_RATES = (0, 88200, 176400, 192000, 8000, 16000, 22050, 24000, 32000, 44100, 48000, 96000, 0, 0, 0, 0)


def flac(stream: IO[bytes]) -> Flac | None:
    """What a FLAC file tells; None if the file is of another kind."""
    stream.seek(0)
    head = stream.read(26)
    if not head.startswith(b"fLaC") or len(head) < 26:
        return None
    place, last, end = 4, False, stream.seek(0, io.SEEK_END)
    while not last and place < end:
        stream.seek(place)
        block = stream.read(4)
        last, place = bool(block[0] & 0x80), place + 4 + int.from_bytes(block[1:])
    stream.seek(place)
    frame = stream.read(3)
    first_rate = FLAC_RATES[frame[2] & 0x0F] if len(frame) == 3 and frame.startswith(b"\xff\xf8") else 0
    return Flac(int.from_bytes(head[21:]) & 0xFFFFFFFFF, head[21] & 0xF0, int.from_bytes(head[18:21]) >> 4, first_rate)


def nist_total(stream: IO[bytes]) -> int | None:
    """The samples of each channel that a NIST SPHERE file says it has; None if the file is of another kind."""
    stream.seek(0)
    head = stream.read(1024)
    found = re.search(rb"sample_count -i (\d+)", head)
    return int(found[1]) if found and head.startswith(b"NIST_1A") else None


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


class Chunk(NamedTuple):
    """The sound in a file. place: of its size, 4 bytes; num_bytes: that size; unread: bytes after it that are none of
    the file's other parts: the sound goes on; flaw: how the header contradicts itself, '' if it does not."""

    place: int
    num_bytes: int
    unread: int = 0
    flaw: str = ""


def riff(stream: IO[bytes]) -> Chunk | None:
    """Where the sound of a WAV file lies, as far as the file tells; None if it is of another kind."""
    end = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    if stream.read(4) not in (b"RIFF", b"RF64"):
        return None
    place, found, flaw = 12, None, ""
    while place + 8 <= end:
        stream.seek(place)
        name, size = struct.unpack("<4sI", stream.read(8))
        if name == b"fmt ":
            flaw = _fmt_flaw(stream.read(20))
        if found and not (name.isascii() and name.decode().isprintable()):
            return found._replace(unread=end - place)
        if name == b"data" and found is None:
            found = Chunk(place + 4, size, flaw=flaw)
        place += 8 + size + size % 2
    return found


PLAIN_TAGS = (0x0001, 0x0003, 0x0006, 0x0007, 0xFFFE)  # of WAV files whose samples all have the same number of bits


def _fmt_flaw(content: bytes) -> str:
    """How the description of a WAV file's samples contradicts itself."""
    if len(content) < 16:
        return ""
    tag, channels, _, _, block, bits = struct.unpack("<HHIIHH", content[:16])
    if tag == 0xFFFE and len(content) == 20:
        bits = max(bits, int.from_bytes(content[18:20], "little"))  # those that are used
    width = block // channels if channels and block % channels == 0 else 0
    if tag not in PLAIN_TAGS or (width in (1, 2, 3, 4, 8) and bits <= 8 * width):
        return ""
    return f"its header contradicts itself: {block} bytes for {channels} samples of {bits} bits"


def au(stream: IO[bytes]) -> Chunk | None:
    """Where the sound of an AU file lies; None if it is of another kind. Nothing follows in such files."""
    end = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    head = stream.read(12)
    if not head.startswith(b".snd") or len(head) < 12:
        return None
    start, size = struct.unpack(">II", head[4:])
    return Chunk(8, size, max(0, end - start - size))

"""What an MP3 file says of its length, and where its frames are of another kind than before."""

from __future__ import annotations

import io
import struct
from typing import IO, NamedTuple

BLOCK = 4096  # bytes in which a frame is looked for at once
RATES = (44100, 48000, 32000)  # Hz of MPEG 1; MPEG 2 has the half, MPEG 2.5 a quarter
BITRATES = {  # kbit/s by (MPEG 1, layer)
    (True, 1): range(32, 449, 32),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


class Xing(NamedTuple):
    """The frame of an MP3 file that tells its length. place: of its name; samples: of each channel, with those that a
    decoder leaves out at both ends, 0 if it does not tell; num_bytes: of the sound, this frame included, or 0."""

    place: int
    samples: int
    num_bytes: int
    samples_a_frame: int


def xing(stream: IO[bytes]) -> Xing | None:
    """What an MP3 file tells of its length; None if it tells nothing."""
    start = bounds(stream)[0]
    stream.seek(start)
    head = stream.read(256)
    for name in (b"Xing", b"Info"):
        place = head.find(name)
        if 4 <= place <= len(head) - 16:
            flags, first, second = struct.unpack(">3I", head[place + 4 : place + 16])
            samples_a_frame = 1152 if head[1] & 0x08 else 576  # MPEG 1, or one of its later extensions
            num_bytes = (second if flags & 1 else first) if flags & 2 else 0
            return Xing(start + place, first * samples_a_frame if flags & 1 else 0, num_bytes, samples_a_frame)
    return None


def bounds(stream: IO[bytes]) -> tuple[int, int]:
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


class Kind(NamedTuple):
    """What all frames of a file must share, for a decoder to go on. rate: in Hz; layer: of MPEG audio, 1 to 3."""

    rate: int
    channels: int
    layer: int

    def __str__(self) -> str:
        return f"{self.rate} Hz, {'mono' if self.channels == 1 else 'stereo'}, layer {self.layer}"


def change(stream: IO[bytes], kind: Kind) -> tuple[Kind, float] | None:
    """The kind of the first frames that are not of the given one, where decoders end, and the share of the file that
    begins there; None if all are of one kind.

    A single frame may be damage, or no frame at all: another of its kind must follow it.
    """
    start, end = bounds(stream)
    place = start
    while place < end:
        found, num_bytes = _frame(stream, place)
        if found is None:
            place = _next(stream, place + 1, end)
        elif found == kind:
            place += num_bytes
        elif _frame(stream, place + num_bytes)[0] == found:
            return found, (end - place) / (end - start)
        else:
            place += 1
    return None


def _frame(stream: IO[bytes], place: int) -> tuple[Kind | None, int]:
    """Of the frame at a place: its kind and its bytes. None if there is none, or none that tells its length."""
    stream.seek(place)
    head = stream.read(4)
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None, 0
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)  # version: 3 for MPEG 1, 2 for 2, 0 for 2.5
    bitrate, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 4 or bitrate in (0, 15) or rate == 3:
        return None, 0
    hertz = RATES[rate] // {3: 1, 2: 2, 0: 4}[version]
    bits = 1000 * BITRATES[version == 3, layer][bitrate - 1]
    slot, samples = (4, 384) if layer == 1 else (1, 576 if layer == 3 and version != 3 else 1152)
    num_bytes = slot * (samples // 8 * bits // hertz // slot + padding)
    return Kind(hertz, 1 if head[3] >> 6 == 3 else 2, layer), num_bytes


def _next(stream: IO[bytes], place: int, end: int) -> int:
    """Where the next byte lies that a frame may begin with; the end if there is none."""
    while place < end:
        stream.seek(place)
        found = stream.read(BLOCK).find(b"\xff")
        if found >= 0:
            return place + found
        place += BLOCK
    return end

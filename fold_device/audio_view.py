"""Files as a decoder should see them: another end, other bytes, or no end at all."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import IO, Any


class View(io.RawIOBase):
    """A file that looks as a decoder should see it. end: where it ends; patches: bytes by their place that look
    otherwise; endless: it seems to have no end, though nothing comes past it; begin: of the file in the stream, which
    may hold others, and from which all other places are counted."""

    LENGTH = 1 << 40
    TAIL = 4096  # before its seeming end are zeros, so that no tag is found there

    def __init__(
        self,
        stream: IO[bytes],
        end: int | None = None,
        patches: Mapping[int, bytes] | None = None,
        endless: bool = False,
        begin: int = 0,
    ) -> None:
        self.stream = stream
        self.begin = begin
        self.end = stream.seek(0, io.SEEK_END) - begin if end is None else end
        self.length = self.LENGTH if endless else self.end
        self.patches = patches or {}
        self.place = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.place = max(0, offset + (0, self.place, self.length)[whence])
        return self.place

    def tell(self) -> int:
        return self.place

    @property
    def left(self) -> int:
        """Bytes that were not read yet."""
        return max(0, self.end - self.place)

    def readinto(self, buffer: Any) -> int:
        if self.length > self.end and self.place >= self.length - self.TAIL:
            content = bytes(max(0, min(len(buffer), self.length - self.place)))
        else:
            self.stream.seek(self.begin + min(self.place, self.end))
            content = self._patched(self.stream.read(max(0, min(len(buffer), self.end - self.place))))
        buffer[: len(content)] = content
        self.place += len(content)
        return len(content)

    def _patched(self, content: bytes) -> bytes:
        patched = bytearray(content)
        for place, patch in self.patches.items():
            for offset, byte in enumerate(patch, place - self.place):
                if 0 <= offset < len(patched):
                    patched[offset] = byte
        return bytes(patched)

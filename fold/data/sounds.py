"""Sounds that training speech meets: audio files in folders, and members of tars that lie there."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from fold.data.corpora.tars import regular_members
from fold.errors import FoldError
from fold_device.audio_view import View

SUFFIXES = frozenset([".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au", ".caf", ".sph"])
TAR = ".tar"
PACKED = (".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".7z")


class Sound(NamedTuple):
    """An audio file. file: that it is, or the tar that it lies in, as `member`, so many bytes from `offset` on."""

    file: str
    member: str = ""
    offset: int = 0
    num_bytes: int = 0

    def __str__(self) -> str:
        return f"{self.file}: {self.member}" if self.member else self.file

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """Its bytes. Raises FoldError if the file has gone."""
        try:
            stream = open(self.file, "rb")  # noqa: SIM115
        except OSError as error:
            raise FoldError(f"{self}: cannot be read ({error.strerror})") from None
        with stream:
            yield io.BufferedReader(View(stream, self.num_bytes, begin=self.offset)) if self.member else stream


def sounds_in(setting: str, folder: str) -> list[Sound]:
    """The audio files in a folder, at any depth, and in the tars among them, or in a single tar, in a fixed order.

    setting: that names the folder, under `data`.

    Raises FoldError if there is no such folder or tar, or no audio in it, or a tar is damaged.
    """
    place = f"data.{setting}.folder"
    if Path(folder).is_file() and folder.lower().endswith(TAR):
        files = [folder]
    elif Path(folder).is_dir():
        found = [os.path.join(at, n) for at, _, names in os.walk(folder, followlinks=True) for n in names]
        files = sorted(file for file in found if Path(file).suffix.lower() in {*SUFFIXES, TAR})
    else:
        raise FoldError(f"{place}: no folder {folder}" + _unpack([folder] if Path(folder).is_file() else []))
    sounds = [sound for file in files for sound in _in_file(place, file)]
    if not sounds:
        hint = _unpack(sorted(os.listdir(folder))) if Path(folder).is_dir() else ""
        raise FoldError(f"{place}: {folder} holds no audio files ({', '.join(sorted(SUFFIXES))}){hint}")
    return sounds


def _in_file(place: str, file: str) -> list[Sound]:
    if not file.lower().endswith(TAR):
        return [Sound(file)]
    with open(file, "rb") as stream:
        return [
            Sound(file, info.name, info.offset_data, info.size)
            for info in regular_members(f"{place}: {file}", stream)
            if Path(info.name).suffix.lower() in SUFFIXES and not Path(info.name).name.startswith(".")
        ]


def _unpack(names: list[str]) -> str:
    packed = [name for name in names if name.lower().endswith(PACKED)]
    return f"; unpack {packed[0]}" if packed else ""

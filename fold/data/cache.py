"""A bounded cache of remote files: each fetched once for all processes of a node, verified, the oldest evicted.

A file's name in the cache is its checksum and its size. So it is what it should be, whatever URL it came from, and
one still being fetched already holds its place. Files are handed out open: on POSIX systems one that is evicted
meanwhile can be read to the end.
"""

import logging
import os
import re
import time
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

from fold.data import download
from fold.data.download import Unreachable
from fold.errors import FoldError
from fold.files import holding, part_path

log = logging.getLogger(__name__)

ABANDONED_SECONDS = 3600.0
"""What has not grown for so long is no longer being fetched: its process was killed."""
RETRY_SECONDS = 300.0
"""Time for which a file that could not be had is not asked for again."""

_NAME = re.compile(r"[0-9a-f]{64}-(\d+)(\.part)?")


class _Entry(NamedTuple):
    """A file of the cache; `used` is when it was last opened or grew, in nanoseconds since the epoch."""

    used: int
    path: Path
    num_bytes: int
    partial: bool

    @property
    def evictable(self) -> bool:
        return not self.partial or self.used / 1e9 < time.time() - ABANDONED_SECONDS


@dataclass(frozen=True)
class ShardCache:
    """Local copies of remote files, for any number of processes and corpora at once.

    Attributes:
        folder: of the copies; other files in it are left untouched.
        max_bytes: what the copies may fill, those still being fetched included. Exceeded, with a warning, where
            what is being fetched at one time is larger.
        since: when the run began, in seconds since the epoch; failures before that are forgotten.
    """

    folder: Path
    max_bytes: int
    since: float = field(default_factory=time.time)

    def open(self, url: str, *, sha256: str, num_bytes: int) -> IO[bytes]:
        """Open the local copy of a file, fetching it if missing.

        Raises:
            Unreachable: it cannot be had, or could not less than `RETRY_SECONDS` ago.
            FoldError: the URL, checksum or size is none, or the cache cannot be written.
        """
        path = self.folder / f"{sha256}-{num_bytes}"
        if not isinstance(num_bytes, int) or not _NAME.fullmatch(path.name):
            raise FoldError(f"{url}: {sha256!r} is no sha256 checksum, or {num_bytes!r} no number of bytes")
        try:
            with suppress(FileNotFoundError):
                return _use(path)
            self.folder.mkdir(parents=True, exist_ok=True)
            # Few locks, shared by files, because they stay: whoever removed one could leave it locked by two.
            with holding(self.folder / f"{sha256[:2]}.lock"):
                with suppress(FileNotFoundError):
                    return _use(path)
                return self._fetch(url, path, sha256, num_bytes)
        except OSError as error:
            raise FoldError(f"the cache {self.folder} cannot be used: {error}") from error

    def _fetch(self, url: str, path: Path, sha256: str, num_bytes: int) -> IO[bytes]:
        part, failed = part_path(path), path.with_name(f"{sha256}.failed")
        self._raise_recent(failed)
        with self._naming():
            self._make_room(num_bytes, part)
            part.touch()
        try:
            download.complete(url, part, sha256=sha256, max_bytes=num_bytes, fetches=download.ATTEMPTS, quiet=True)
        except FoldError as error:
            failed.write_text(str(error))
            with self._naming():
                part.unlink(missing_ok=True)
            raise
        with self._naming():
            part.replace(path)
            return _use(path)

    def _raise_recent(self, failed: Path) -> None:
        """Spare other processes, and other utterances of the shard, the same long wait."""
        with suppress(FileNotFoundError):
            when, reason = failed.stat().st_mtime, failed.read_text()
            if when > max(self.since, time.time() - RETRY_SECONDS):
                raise Unreachable(f"{reason}, {time.time() - when:.0f} s ago")

    def _naming(self) -> AbstractContextManager[None]:
        """Hold the lock under which files get and lose their names."""
        return holding(self.folder / "names.lock")

    def _make_room(self, num_bytes: int, part: Path) -> None:
        """Delete the least recently used files until one of `num_bytes` fits, whose place may be held by `part`."""
        entries = sorted(entry for entry in self._entries() if entry.path != part)
        free = self.max_bytes - num_bytes - sum(entry.num_bytes for entry in entries)
        for entry in entries:
            if free < 0 and entry.evictable:
                entry.path.unlink(missing_ok=True)
                free += entry.num_bytes
        if free < 0:
            log.warning(f"{self.folder}: what is needed at once exceeds the {self.max_bytes} bytes allowed by {-free}")

    def _entries(self) -> list[_Entry]:
        with os.scandir(self.folder) as files:
            return [
                _Entry(file.stat().st_mtime_ns, Path(file.path), int(name[1]), bool(name[2]))
                for file in files
                if (name := _NAME.fullmatch(file.name))
            ]


def _use(path: Path) -> IO[bytes]:
    """Open a file and note when, for eviction (whether a mere read would be noted depends on the file system)."""
    stream = path.open("rb")
    now = time.time_ns()
    os.utime(stream.fileno(), ns=(now, now))
    return stream

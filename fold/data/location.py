"""Where a prepared corpus lies: in a folder, or at an http, https or s3 URL laid out alike."""

import os
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from fold.data.cache import ShardCache
from fold.data.download import check_url, complete, is_url
from fold.data.index import INDEX_FILE, Index, Shard, parse_index, read_index
from fold.data.shards import sidecar_path
from fold.errors import FoldError

MAX_INDEX_BYTES = 1 << 28
"""Far more than the index of a million hours, far less than a disk."""


class Location(ABC):
    """The files of a prepared corpus. `str()` gives the folder or URL.

    Attributes:
        folder: where shards can be written; None at a URL.
    """

    folder: Path | None = None
    cache: ShardCache

    @staticmethod
    def of(base: str, cache: ShardCache) -> "Location":
        """Return the location that a folder or a URL names.

        Args:
            base: a folder, or `http(s)://HOST/PATH`, or `s3://BUCKET/PATH`.
            cache: for the shards of a URL.

        Raises:
            FoldError: any other kind of URL.
        """
        if is_url(base):
            check_url(base)
            return _Remote(base.rstrip("/"), cache)
        return _Folder(cache, Path(base))

    @abstractmethod
    def index(self) -> Index:
        """Read `index.json`.

        Raises:
            Unreachable: it could not be fetched.
            FoldError: there is none, it is damaged, or it has another format.
        """

    def shard(self, shard: Shard) -> IO[bytes]:
        """Open a shard's tar; the caller closes it.

        Raises:
            OSError: it is missing from the folder.
            Unreachable: it could not be fetched.
            FoldError: the index names none that can be opened.
        """
        return self._open(_plain(shard.file), shard.sha256, shard.bytes)

    def sidecar(self, shard: Shard) -> IO[bytes]:
        """Open a shard's sidecar, with no need of the shard; else as `shard`."""
        return self._open(sidecar_path(Path(_plain(shard.file))).name, shard.sidecar_sha256, shard.sidecar_bytes)

    def audio(self, shard: Shard) -> IO[bytes]:
        """Open the tar in which a shard's recordings lie; else as `shard`."""
        if not shard.audio:
            return self.shard(shard)
        if is_url(shard.audio):
            check_url(shard.audio)
            return self.cache.open(shard.audio, sha256=shard.audio_sha256, num_bytes=shard.audio_bytes)
        if self.folder is None:
            raise FoldError(f"{self}: its recordings lie in {shard.audio}, which a URL may not name")
        stream = open(shard.audio, "rb")  # noqa: SIM115  # the caller's
        if os.fstat(stream.fileno()).st_size != shard.audio_bytes:
            stream.close()
            raise FoldError(f"{shard.audio} is another file than was indexed; prepare the corpus again")
        return stream

    @abstractmethod
    def _open(self, name: str, sha256: str, num_bytes: int) -> IO[bytes]: ...


@dataclass(frozen=True)
class _Folder(Location):
    cache: ShardCache
    folder: Path

    def __str__(self) -> str:
        return str(self.folder)

    def index(self) -> Index:
        return read_index(self.folder)

    def _open(self, name: str, sha256: str, num_bytes: int) -> IO[bytes]:
        return (self.folder / name).open("rb")


@dataclass(frozen=True)
class _Remote(Location):
    url: str
    cache: ShardCache

    def __str__(self) -> str:
        return self.url

    def index(self) -> Index:
        # Never from the cache: only the index tells that a corpus was prepared anew.
        with TemporaryDirectory() as folder:
            file = Path(folder) / INDEX_FILE
            complete(f"{self.url}/{INDEX_FILE}", file, sha256=None, max_bytes=MAX_INDEX_BYTES, quiet=True)
            return parse_index(file.read_bytes(), self.url)

    def _open(self, name: str, sha256: str, num_bytes: int) -> IO[bytes]:
        return self.cache.open(f"{self.url}/{name}", sha256=sha256, num_bytes=num_bytes)


def _plain(file: str) -> str:
    """Let no index lead out of its folder."""
    if not isinstance(file, str) or not re.fullmatch(r"\w[\w.-]*", file):
        raise FoldError(f"the index names a shard {file!r}; expected a plain file name")
    return file

"""The file of a checkpoint: what `torch.save` writes, sealed with a checksum, and read without executing anything.

The seal follows the zip archive that `torch.save` writes, so that any program that reads those reads these too.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import zipfile
from pathlib import Path
from typing import IO, Any

import torch

from fold.errors import FoldError

SEAL = b"fold-sha256:"  # before the SHA-256 of all bytes that precede it
SEAL_BYTES = len(SEAL) + hashlib.sha256().digest_size


class _Hashed:
    """A stream that hashes what passes and remembers its first failure, which `torch.save` hides behind others."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.sha256 = hashlib.sha256()
        self.failure: OSError | None = None

    def write(self, data: bytes | memoryview) -> int:
        try:
            written = self.stream.write(data)
        except OSError as error:
            self.failure = self.failure or error
            raise
        self.sha256.update(data)
        return written

    def flush(self) -> None:
        self.stream.flush()


def write(content: Any, stream: IO[bytes]) -> None:
    """Writes tensors and plain values, and the seal. Raises OSError as the stream does, when a disk is full say."""
    hashed = _Hashed(stream)
    try:
        torch.save(content, hashed)  # type: ignore[arg-type]  # it takes whatever has `write` and `flush`
    finally:
        if hashed.failure:
            raise hashed.failure
    stream.write(SEAL + hashed.sha256.digest())


def verify(file: str | os.PathLike[str]) -> None:
    """Raises FoldError if a checkpoint is missing or not whole: truncated, or changed after it was written.

    One without a seal, of another program, is left to the checksums that the zip format has for its members.
    """
    try:
        with open(file, "rb") as stream:
            size = max(stream.seek(0, os.SEEK_END) - SEAL_BYTES, 0)
            stream.seek(size)
            seal = stream.read()
            if seal.startswith(SEAL):
                damaged = seal != SEAL + _sha256(stream, size)
            else:
                with zipfile.ZipFile(stream) as archive:
                    damaged = archive.testzip() is not None
    except FileNotFoundError:
        raise FoldError(f"checkpoint {file}: no such file") from None
    except IsADirectoryError:
        held = Path(file) / "checkpoints" / "last.ckpt"
        meant = (
            f"of this run it is {held}" if held.exists() else "expected a file, such as checkpoints/last.ckpt of a run"
        )
        raise FoldError(f"checkpoint {file}: a folder; {meant}") from None
    except Exception as error:  # damaged bytes make a reader of zip archives raise nearly anything
        raise FoldError(f"checkpoint {file}: cannot be read, truncated or no checkpoint ({reason(error)})") from None
    if damaged:
        raise FoldError(f"checkpoint {file}: corrupt, its bytes are not those that were written (checksum)")


def read(file: str | os.PathLike[str], map_location: Any = "cpu") -> Any:
    """What `write` wrote; map_location: where its tensors go, as for `torch.load`.

    Raises FoldError if the file is missing, is not whole, or holds anything but tensors and plain values.
    """
    verify(file)
    return load_plain(file, map_location)


def load_plain(file: str | os.PathLike[str], map_location: Any = "cpu", mmap: bool = False) -> Any:
    """As `read`, without looking at the seal; mmap: leaves the tensors on disk."""
    try:
        return torch.load(file, map_location=map_location, weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        found = named[1] if named else reason(error)
        raise FoldError(
            f"checkpoint {file} is refused: it holds objects other than tensors and plain values ({found})"
        ) from None
    except Exception as error:  # whole, but not what `torch.save` writes
        raise FoldError(f"checkpoint {file}: cannot be read, truncated or no checkpoint ({reason(error)})") from None


def reason(error: Exception) -> str:
    """The first line of an error that says something, shortened."""
    lines = [type(error).__name__, *str(error).splitlines()]
    return lines[min(1, len(lines) - 1)].strip()[:200]


def _sha256(stream: IO[bytes], size: int) -> bytes:
    """SHA-256 of the first `size` bytes."""
    digest = hashlib.sha256()
    stream.seek(0)
    while size and (block := stream.read(min(size, 1 << 20))):
        digest.update(block)
        size -= len(block)
    return digest.digest()

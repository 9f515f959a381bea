"""Files that are whole or absent, locks that end with their process, checksums."""

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

PART_SUFFIX = ".part"
"""Ends the name of a file or folder that is still being written."""
LOCK_FILE = ".lock"


def part_path(path: Path) -> Path:
    """Return the name that `path` has until it is complete."""
    return path.with_name(path.name + PART_SUFFIX)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that appears under `path` only when it is complete and on disk."""
    part = part_path(path)
    try:
        with part.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename outlast a power failure, where the file system offers that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_json(path: Path, values: Any) -> None:
    """Write JSON to a file, all of it or nothing."""
    with replacing(path) as stream:
        stream.write(json.dumps(values, ensure_ascii=False, indent=1).encode() + b"\n")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock, made with the folder if missing; wait, saying so, while another process has it."""
    folder.mkdir(parents=True, exist_ok=True)
    with holding(folder / LOCK_FILE, lambda: print(f"waiting for another process at work in {folder}", flush=True)):
        yield


@contextmanager
def holding(path: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold a lock file, made if missing; wait, calling `on_wait` first, while another process has it.

    The lock ends with its process, however that ends; the file left behind locks nothing.
    """
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            # Closing alone would leave the lock with a process forked meanwhile.
            fcntl.flock(lock, fcntl.LOCK_UN)


def checksum(path: Path, algorithm: str = "sha256") -> str:
    """Return the checksum of a file's content, in hexadecimal."""
    digest = hashlib.new(algorithm)
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()

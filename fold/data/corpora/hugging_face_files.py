"""The files of a split of Hugging Face's `datasets` on disk: those that belong to it, and all of them."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path

from fold.errors import FoldError

LAYOUT = "a dataset as `save_to_disk` writes it, or Parquet files"
STATE = "state.json"  # of a split that `save_to_disk` wrote
TAIL = 1 << 20  # bytes
_PART = re.compile(r"(.*)-(\d+)-of-(\d+)(-[0-9a-f]+)?")


def split_files(root: Path, split: str) -> list[Path]:
    """Return the files of a split, in their order.

    Raises:
        FoldError: there are none, one is missing, or there are those of two versions of the split.
    """
    folder = root / split
    if (folder / STATE).is_file():
        return _saved(folder)
    patterns = (f"{split}.parquet", f"{split}-*.parquet", f"data/{split}.parquet", f"data/{split}-*.parquet")
    found = sorted({*(path for pattern in patterns for path in root.glob(pattern)), *folder.glob("*.parquet")})
    if not found:
        there = sorted(
            {path.parent.name for path in root.glob(f"*/{STATE}")} | {p.name for p in root.rglob("*.parquet")}
        )
        what = "one dataset without splits" if (root / STATE).is_file() else ", ".join(there[:12]) or "no dataset"
        raise FoldError(f"{root}: no split '{split}'; it holds {what}. Expected {LAYOUT}")
    _check_complete(root, split, found)
    return found


def _saved(folder: Path) -> list[Path]:
    """The files that a split names as its own: beside them may be what `map` keeps, and what was there before."""
    where = folder / STATE
    try:
        held = json.loads(where.read_bytes())
        files = [folder / each["filename"] for each in held["_data_files"]]
        chosen = bool(held.get("_indices_data_files"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise FoldError(f"{where}: damaged, or not of `datasets`: it names no files") from None
    if chosen:
        raise FoldError(f"{where}: some rows are chosen, in a file apart: save the dataset with a newer `datasets`")
    for file in files:
        if not file.is_file():
            raise FoldError(f"{where}: the file {file.name}, which it names, is missing")
    return files


def _check_complete(root: Path, split: str, files: Sequence[Path]) -> None:
    """Raises FoldError unless Parquet files are all parts of a split, each once, as far as their names tell."""
    parts: dict[str, list[tuple[int, int | None]]] = {}
    for file in files:
        if numbered := _PART.fullmatch(file.stem):
            parts.setdefault(numbered[1], []).append((int(numbered[2]), int(numbered[3])))
        elif file.stem.isdecimal():
            parts.setdefault("", []).append((int(file.stem), None))
        else:
            parts.setdefault(file.stem, []).append((0, 1))
    for found in parts.values():
        number = found[0][1] or len(found)
        if sorted(found, key=lambda part: part[0]) != [(index, found[0][1]) for index in range(number)]:
            names = ", ".join(file.relative_to(root).as_posix() for file in files[:6])
            raise FoldError(
                f"{root}: the split '{split}' has the files {names}{', ...' if len(files) > 6 else ''}; expected those "
                "of one version, numbered from 0, and all of them"
            )


def state(file: Path) -> str:
    """Return what tells a file from one that was written in its place: its size, its last megabyte, which in Parquet
    tells of all others, and the fingerprint that `datasets` keeps of its split."""
    digest = hashlib.blake2b(digest_size=16)
    with file.open("rb") as stream:
        size = stream.seek(0, io.SEEK_END)
        stream.seek(max(size - TAIL, 0))
        digest.update(str(size).encode() + stream.read())
    beside = file.parent / STATE
    digest.update(beside.read_bytes() if beside.is_file() else b"")
    return digest.hexdigest()

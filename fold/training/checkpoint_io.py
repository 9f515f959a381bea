"""Checkpoints that survive: whole or absent on disk, the last one and the one before it, no code executed."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins import CheckpointIO
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from fold import sealed
from fold.checkpoint import read
from fold.errors import FoldError
from fold.files import part_path, replacing

log = logging.getLogger(__name__)

LAST, BEFORE_LAST = "last.ckpt", "last-1.ckpt"


class SafeCheckpointIO(CheckpointIO):
    """Lightning's way to checkpoints in local folders.

    A file appears under its name only when it is complete and on disk, can be read, and holds finite numbers. What
    `last.ckpt` held before stays as `last-1.ckpt`. At every instant one of the two is whole.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Raises FoldError if the file cannot be written, when the disk is full say, if training has diverged, or if
        the file could not be read again; the one before is then kept."""
        if "://" in str(path):
            raise FoldError(
                f"checkpoint {path}: only local folders are written to; for others set"
                " --trainer.plugins=lightning.pytorch.plugins.TorchCheckpointIO"
            )
        path = Path(path)
        broken = [name for name, tensor in _weights(checkpoint) if not _is_finite(tensor)]
        if broken:
            more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
            raise FoldError(
                f"checkpoint {path}: not written, as training has diverged: {broken[0]}{more} is not finite at step"
                f" {checkpoint.get('global_step')}; {_kept(path)}; try a lower learning rate"
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _keeping_last(path), replacing(path) as stream:
                sealed.write(checkpoint, stream)
                stream.flush()
                _check_readable(Path(stream.name), path)
        except OSError as error:
            raise FoldError(
                f"checkpoint {path}: cannot be written ({error.strerror or error}); {_kept(path)}"
            ) from error

    def load_checkpoint(
        self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Reads tensors and plain values, whatever `weights_only` says. Raises FoldError as `read` does."""
        return read(path, map_location)

    def remove_checkpoint(self, path: str | Path) -> None:
        Path(path).unlink(missing_ok=True)


def _weights(value: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """The tensors in nested values, with their names. Callbacks keep scores besides, of which the best may be none."""
    if isinstance(value, Tensor):
        if value.is_floating_point() and (value.dim() or not name.startswith("callbacks.")):
            yield name, value
    elif isinstance(value, dict | list | tuple):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _weights(part, f"{name}.{key}".strip("."))


def _is_finite(tensor: Tensor) -> bool:
    return not tensor.numel() or bool(torch.linalg.vector_norm(tensor, torch.inf).isfinite())


def _check_readable(part: Path, path: Path) -> None:
    """Raises FoldError if loading would refuse what was written, which a run would otherwise learn at its end."""
    try:
        sealed.load_plain(part, mmap=True)
    except FoldError as error:
        told = str(error).replace(str(part), str(path))
        raise FoldError(f"{told}; {_kept(path)}") from None


def _kept(path: Path) -> str:
    """What there is in place of a checkpoint that was not written."""
    kept = [file for file in (path, path.with_name(LAST)) if file.exists()]
    if not kept:
        return "there is none before it"
    told = f"the checkpoint before is kept: {kept[0]}"
    with suppress(FoldError, KeyError, TypeError):
        told += f" of step {sealed.load_plain(kept[0], mmap=True)['global_step']}"
    return told


def newest_checkpoint(folder: str | Path) -> Path:
    """The newest whole checkpoint of a run: `last.ckpt`, or `last-1.ckpt` with a warning that says why.

    Raises FoldError if there is none.
    """
    broken = []
    for file in (Path(folder) / LAST, Path(folder) / BEFORE_LAST):
        if not file.exists():
            continue
        try:
            sealed.verify(file)
        except FoldError as error:
            broken.append(str(error))
            continue
        if broken:
            rank_zero_only(log.warning)(f"{broken[0]}; the one before is used: {file}")
        return file
    raise FoldError("; ".join(broken) or f"{folder} holds no checkpoint ({LAST})")


@contextmanager
def _keeping_last(path: Path) -> Iterator[None]:
    """Gives the last checkpoint, once its successor has taken its name, the name of the one before."""
    if path.name != LAST or not path.exists():
        yield
        return
    before = path.with_name(BEFORE_LAST)
    kept = part_path(before)
    kept.unlink(missing_ok=True)  # left by a killed process
    try:
        try:
            os.link(path, kept)
        except OSError:  # some file systems know no links
            shutil.copyfile(path, kept)
        yield
        kept.replace(before)
    finally:
        kept.unlink(missing_ok=True)

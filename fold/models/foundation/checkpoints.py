"""Checkpoints of compressed models as their authors publish them: one pickled file, read without executing it."""

from __future__ import annotations

from pathlib import Path

from fold.errors import FoldError
from fold.models.foundation.dphubert import DPHuBERT
from fold.models.foundation.lighthubert import LightHuBERT
from fold.models.foundation.weights import check_is_no_pointer, pickled, readable

SUFFIXES = (".pth", ".pt", ".bin", ".ckpt", ".safetensors")
KINDS = (DPHuBERT, LightHuBERT)


def open_checkpoint(file: Path) -> DPHuBERT | LightHuBERT:
    """The model that lies in a file. Raises FoldError, which says what can be read, if it is none of these."""
    check_is_no_pointer(file)
    with readable(file):
        content = pickled(file)
    for kind in KINDS:
        if all(isinstance(content.get(key), dict) for key in kind.HOLDS):
            return kind(file, content)
    known = "; ".join(f"{kind.__name__} ({' and '.join(kind.HOLDS)})" for kind in KINDS)
    held = ", ".join(map(str, list(content)[:3]))
    raise FoldError(
        f"source {file}: no checkpoint that can be read; a file is one of {known}, but this holds {held or 'nothing'}; "
        "other models are folders with config.json"
    )

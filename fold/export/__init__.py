"""Models in the formats of other libraries."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from fold.errors import FoldError


def onnx_module(name: str) -> ModuleType:
    """A module of `fold.export.onnx`. Raises FoldError if what it needs is not installed."""
    try:
        return import_module(f"fold.export.onnx.{name}")
    except ModuleNotFoundError as error:
        raise FoldError(f"this needs {error.name}, which is not installed: pip install 'fold-asr[onnx]'") from None

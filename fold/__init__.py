"""fold: train one small set of weights to serve every depth.

Example:
    >>> import fold
    >>> model = fold.load("last.ckpt")
    >>> for depth in model.depths:
    ...     print(depth, model.transcribe("a.wav", depth=depth))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fold.api import Model, PathModel, load
    from fold.decoding.words import Word
    from fold.errors import FoldError, FoldWarning
    from fold.paths import Path, PathSpace

__version__ = "0.1.0"
__all__ = ["FoldError", "FoldWarning", "Model", "Path", "PathModel", "PathSpace", "Word", "__version__", "load"]

_HOMES = {  # imported when asked for, so that `import fold` and the commands start at once
    "load": "fold.api",
    "Model": "fold.api",
    "PathModel": "fold.api",
    "Word": "fold.decoding.words",
    "FoldError": "fold.errors",
    "FoldWarning": "fold.errors",
    "Path": "fold.paths",
    "PathSpace": "fold.paths",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'fold' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

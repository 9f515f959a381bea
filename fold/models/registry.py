"""Names of architectures in checkpoints: each leads back to its class, and nothing is executed that a file names."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, entry_points

import fold.models
from fold.errors import FoldError
from fold.models.asr import Architecture

GROUP = "fold.architectures"  # of entry points, by which installed packages offer theirs


def name_of(kind: type[Architecture]) -> str:
    """The name that a checkpoint keeps of an architecture: of those that `fold.models` exports and that packages offer
    the short one, else `module.Class`."""
    if getattr(fold.models, kind.__name__, None) is kind:
        return kind.__name__
    path = f"{kind.__module__}.{kind.__qualname__}"
    return next((entry.name for entry in _offered() if _dotted(entry) == path), path)


def find(name: str) -> type[Architecture]:
    """The class of that name.

    Only packages that are installed and offer it are imported for it, never a module that the name itself gives.
    Raises FoldError if no class of that name is at hand.
    """
    found = getattr(fold.models, name, None) or _of_a_package(name) or _of_a_loaded_module(name)
    if isinstance(found, type) and issubclass(found, Architecture):
        return found
    module = name.rpartition(".")[0]
    raise FoldError(
        f"no architecture {name}: neither fold.models nor an installed package's entry points ({GROUP}) offer it"
        + (f", nor is a module {module} that has it imported" if module else "")
    )


def _offered() -> list[EntryPoint]:
    return list(entry_points(group=GROUP))


def _dotted(entry: EntryPoint) -> str:
    return f"{entry.module}.{entry.attr}"


def _of_a_package(name: str) -> object:
    return next((entry.load() for entry in _offered() if name in (entry.name, _dotted(entry))), None)


def _of_a_loaded_module(name: str) -> object:
    module, _, kind = name.rpartition(".")
    return getattr(sys.modules.get(module), kind, None)

"""Functions by name: fold's own, and those of installed packages."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from fold.errors import FoldError


class Offered:
    """The functions of one kind.

    noun: what messages call one; group: of the entry points by which a package offers its own, as
    name = "module:function"; own: of fold itself: where the function is, and what it does.
    """

    def __init__(self, noun: str, group: str, own: Mapping[str, tuple[str, str]]) -> None:
        self.noun, self.group, self.own = noun, group, own

    def of_packages(self) -> dict[str, EntryPoint]:
        """Those of installed packages; fold's own cannot be replaced."""
        return {point.name: point for point in entry_points(group=self.group) if point.name not in self.own}

    def listed(self) -> dict[str, str]:
        """All of them, with what they do."""
        own = {name: text for name, (_, text) in self.own.items()}
        others = self.of_packages().items()
        return own | {name: f"from {point.dist.name if point.dist else point.value}" for name, point in others}

    def find(self, name: str) -> Callable[..., Any]:
        """The function of a name; no other is imported. Raises FoldError if there is none, or it cannot be loaded."""
        if name in self.own:
            module, _, function = self.own[name][0].partition(":")
            own: Callable[..., Any] = getattr(importlib.import_module(module), function)
            return own
        others = self.of_packages()
        if name not in others:
            raise FoldError(f"no such {self.noun}; there are {', '.join(self.listed())}")
        try:
            other: Callable[..., Any] = others[name].load()
        except Exception as error:  # whatever a stranger's module does
            raise FoldError(f"the entry point {name} = {others[name].value} cannot be loaded: {error}") from error
        return other

"""Numbers among the settings of the data that must lie in a range."""

from __future__ import annotations

import math

from fold.errors import FoldError


def check_positive(**settings: float | None) -> None:
    """Raises FoldError for a number that is not more than 0, or infinite."""
    for name, value in settings.items():
        if value is not None and not 0 < value < math.inf:
            raise FoldError(f"data.{name} is {value}: it must be more than 0")


def check_not_negative(**settings: float) -> None:
    """Raises FoldError for a number that is less than 0, or infinite."""
    for name, value in settings.items():
        if not 0 <= value < math.inf:
            raise FoldError(f"data.{name} is {value}: it must be 0 or more")

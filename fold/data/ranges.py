"""Numbers among the settings of the data that must lie in a range."""

from __future__ import annotations

import math

from fold.errors import FoldError

RATES = (1000, 192_000)  # Hz, of audio that holds speech and of files that hold audio


def check_rate(sample_rate: int) -> None:
    """Raises FoldError for a sample rate, in Hz, at which there is no speech, or that no file of audio has."""
    if not RATES[0] <= sample_rate <= RATES[1]:
        raise FoldError(f"data.sample_rate is {sample_rate}: expected {RATES[0]} to {RATES[1]}, in Hz")


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

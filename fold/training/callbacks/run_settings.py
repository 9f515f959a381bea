"""The settings of a run, where its records find them."""

from __future__ import annotations

from typing import Any

import lightning

from fold.training.parts import callbacks_of


class RunSettings(lightning.Callback):
    """Holds what a run computes.

    Args:
        settings: The resolved settings, without where the run leaves its files.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings


def settings_of(trainer: lightning.Trainer) -> dict[str, Any]:
    """The settings of the run of a trainer; none if nobody states them."""
    return next((callback.settings for callback in callbacks_of(trainer) if isinstance(callback, RunSettings)), {})

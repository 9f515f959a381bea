"""What Lightning's trainer holds of a run without declaring it, by its types."""

from __future__ import annotations

import lightning

from fold.data.datamodule import SpeechData


def data_of(trainer: lightning.Trainer) -> SpeechData:
    """The data of the run at hand."""
    data: SpeechData = trainer.datamodule  # type: ignore[attr-defined]  # set by one of the trainer's connectors
    return data


def callbacks_of(trainer: lightning.Trainer) -> list[lightning.Callback]:
    """The callbacks of the trainer, in the order in which it calls them."""
    callbacks: list[lightning.Callback] = trainer.callbacks  # type: ignore[attr-defined]  # as above
    return callbacks

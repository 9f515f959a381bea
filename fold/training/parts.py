"""What Lightning's trainer holds of a run without declaring it, by its types."""

from __future__ import annotations

import lightning
import torch
from torch.optim import Optimizer

from fold.data.datamodule import SpeechData


def data_of(trainer: lightning.Trainer) -> SpeechData:
    """The data of the run at hand."""
    data: SpeechData = trainer.datamodule  # type: ignore[attr-defined]  # set by one of the trainer's connectors
    return data


def callbacks_of(trainer: lightning.Trainer) -> list[lightning.Callback]:
    """The callbacks of the trainer, in the order in which it calls them."""
    callbacks: list[lightning.Callback] = trainer.callbacks  # type: ignore[attr-defined]  # as above
    return callbacks


def still_scaling(trainer: lightning.Trainer, optimizer: Optimizer) -> torch.amp.GradScaler | None:
    """What scales the gradients of fp16, where Lightning leaves them scaled until the step: of fused optimizers."""
    scaler: torch.amp.GradScaler | None = getattr(trainer.precision_plugin, "scaler", None)
    return scaler if getattr(optimizer, "_step_supports_amp_scaling", False) else None

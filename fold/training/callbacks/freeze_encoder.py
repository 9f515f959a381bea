"""A new CTC head first, the pre-trained layers below it later."""

from typing import Any

import lightning
import torch

from fold.errors import FoldError
from fold.training.module import foldable


class FreezeEncoder(lightning.Callback):
    """Trains only the heads for the first steps, so that their first, random gradients do not spoil what is below.

    No gradient of the encoder is computed in them. What is frozen depends only on the step, so that it resumes
    anywhere.

    Args:
        steps: Optimizer steps in which only the heads are trained.
    """

    def __init__(self, steps: int) -> None:
        if steps < 0:
            raise FoldError(f"FreezeEncoder: steps is {steps}; it must be 0 or more")
        self.steps = steps

    def on_train_batch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: Any) -> None:
        foldable(pl_module).model.encoder_frozen = trainer.global_step < self.steps

    def on_before_optimizer_step(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        model = foldable(pl_module).model
        if model.encoder_frozen:
            for parameter in model.encoder_parameters():
                parameter.grad = None  # of zeros, where ranks average: an optimizer would count it as a step

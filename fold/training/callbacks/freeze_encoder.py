"""A new CTC head first, the pre-trained layers below it later."""

import lightning
import torch

from fold.training.module import FoldableASR


class FreezeEncoder(lightning.Callback):
    """Trains the heads alone for the first steps, so that their first, random gradients do not spoil what is below.

    steps: optimizer steps. Gradients of the encoder are computed and dropped, which works with any strategy and
    resumes anywhere: what is frozen depends on the step alone.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_before_optimizer_step(
        self, trainer: lightning.Trainer, pl_module: FoldableASR, optimizer: torch.optim.Optimizer
    ) -> None:
        if trainer.global_step >= self.steps:
            return
        for part in (pl_module.model.stem, pl_module.model.unfolding, pl_module.model.final_norm):
            for parameter in part.parameters():
                parameter.grad = None

"""Gradient norms of the physical layers: which of them the joint objective pulls at."""

from __future__ import annotations

import lightning
import torch
from torch.optim import Optimizer

from fold.training.module import foldable
from fold.training.parts import still_scaling


class GradientNorms(lightning.Callback):
    """Logs `grad_norm/layer_NN`, the 2-norm of each physical layer's gradient before clipping.

    Args:
        every_n_steps: Optimizer steps between two readings.
    """

    def __init__(self, every_n_steps: int = 50) -> None:
        self.every_n_steps = every_n_steps

    def on_before_optimizer_step(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, optimizer: Optimizer
    ) -> None:
        if trainer.global_step % self.every_n_steps:
            return
        scaler = still_scaling(trainer, optimizer)
        scale = scaler.get_scale() if scaler else 1.0
        for number, layer in enumerate(foldable(pl_module).model.unfolding.layers, start=1):
            gradients = [p.grad for p in layer.parameters() if p.grad is not None]
            pl_module.log(f"grad_norm/layer_{number:02d}", torch.nn.utils.get_total_norm(gradients) / scale)

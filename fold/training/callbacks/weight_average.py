"""The average of the weights over training: what is evaluated and kept, while training goes on with the weights."""

from __future__ import annotations

from typing import Any

import lightning
import torch
from torch import Tensor

CURRENT, AVERAGED = "current_state", "averaged_updates"  # in a checkpoint, whose state_dict is the average


class WeightAverage(lightning.Callback):
    """Keeps an exponential moving average of all weights, which validations, tests and checkpoints use.

    Args:
        decay: Share of the average that stays in an update; after n updates at most n / (n + 9), so that it begins with
            the weights of the first update and soon forgets them.
    """

    def __init__(self, decay: float = 0.999) -> None:
        self.decay = decay
        self.average: dict[str, Tensor] = {}
        self.updates = 0
        self._step = 0
        self._swapped = False

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._step = trainer.global_step
        state = pl_module.state_dict()
        self.average = {
            name: self.average.get(name, value).to(value.device, copy=True) for name, value in state.items()
        }

    @torch.no_grad()
    def on_train_batch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: Any) -> None:
        if trainer.global_step == self._step:  # in the middle of an accumulation
            return
        self._step = trainer.global_step
        decay = min(self.decay, self.updates / (self.updates + 9))
        self.updates += 1
        state = pl_module.state_dict()
        floats = [name for name, value in state.items() if value.is_floating_point()]
        torch._foreach_lerp_([self.average[n] for n in floats], [state[n] for n in floats], 1 - decay)
        for name in state.keys() - set(floats):
            self.average[name].copy_(state[name])

    def on_validation_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._swap(pl_module)

    on_validation_end = on_validation_start

    @torch.no_grad()
    def _swap(self, pl_module: lightning.LightningModule) -> None:
        """Exchanges the module's weights and the average; nothing before training."""
        self._swapped = bool(self.average) and not self._swapped
        for name, value in pl_module.state_dict().items() if self.average else ():
            kept = value.clone()
            value.copy_(self.average[name])
            self.average[name] = kept

    def on_save_checkpoint(self, trainer: lightning.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        if not self.average:
            return
        pair = checkpoint["state_dict"], dict(self.average)
        checkpoint[CURRENT], checkpoint["state_dict"] = reversed(pair) if self._swapped else pair
        checkpoint[AVERAGED] = self.updates

    def on_load_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if trainer.state.fn != "fit" or CURRENT not in checkpoint:
            return  # to evaluate, the average is all
        self.average, self.updates = dict(checkpoint["state_dict"]), checkpoint[AVERAGED]
        pl_module.load_state_dict(checkpoint[CURRENT])

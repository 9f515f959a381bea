"""What a training says of itself in words: what it trains, and why its loss jumps."""

from __future__ import annotations

from typing import Any

import lightning

from fold.screen import say
from fold.training.module import FoldableASR, foldable


class Narration(lightning.Callback):
    """Says at the start what is trained and where, and once, when paths begin to grow, that the loss jumps."""

    def __init__(self) -> None:
        self._depth: int | None = None  # of the deepest path of the last update; None: not known
        self._said = False

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        module = foldable(pl_module)
        self._depth, self._said = None, len(module.space.depths) == 1
        if trainer.is_global_zero:
            say(_model(module))
            if module.started:
                say(module.started)
            say(_training(trainer))
            say(f"run folder: {trainer.default_root_dir}")

    def on_train_batch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: Any) -> None:
        if self._said:
            return
        depth = deepest_now(trainer, foldable(pl_module))
        if self._depth is not None and depth > self._depth:
            self._said = True
            if trainer.is_global_zero:
                say(growth(trainer.global_step, depth))
        self._depth = depth


def deepest_now(trainer: lightning.Trainer, pl_module: FoldableASR) -> int:
    """Layers of the deepest path that the next update trains."""
    progress = trainer.global_step / max(trainer.estimated_stepping_batches, 1)
    return pl_module.training_paths(trainer.global_step, progress).deepest.depth


def growth(step: int, depth: int) -> str:
    """The line about paths that begin to grow. step: updates so far; depth: layers of the deepest path from now on."""
    return f"update {step:,}: the deepest path grows to {depth} layers: the loss jumps, then falls"


def _model(pl_module: FoldableASR) -> str:
    layers, depths = pl_module.network.num_layers, pl_module.space.depths
    unfolded = f", unfolded to depths {depths[0]}-{depths[-1]}" if len(depths) > 1 else ""
    return f"model: {pl_module.model.num_parameters():,} parameters, {layers} layers{unfolded}"


def _training(trainer: lightning.Trainer) -> str:
    updates = f"{trainer.max_steps:,} updates" if trainer.max_steps > 0 else f"{trainer.max_epochs} epochs"
    done = f" (from update {trainer.global_step:,} on)" if trainer.global_step else ""
    device, processes = trainer.strategy.root_device.type, trainer.world_size
    on = device if processes == 1 else f"{processes} x {device}"
    return f"training: {updates}{done} on {on}, {trainer.precision}"

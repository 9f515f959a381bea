"""Checkpoints of a run: the best on dev, and the last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import ModelCheckpoint


class RunCheckpoint(ModelCheckpoint):
    """Lightning's ModelCheckpoint keeps `best.ckpt`, judged after validations; besides, `last.ckpt` is written every
    `last_every_n_steps` optimizer steps and at the end of training, to resume from.

    Other arguments are ModelCheckpoint's own.
    """

    def __init__(self, last_every_n_steps: int = 100, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.last_every_n_steps = last_every_n_steps
        self._written_step, self._next_step = 0, last_every_n_steps
        self.stepped = False

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self._written_step = trainer.global_step
        self._next_step = trainer.global_step + self.last_every_n_steps

    def on_train_batch_start(self, *_: Any) -> None:
        self.stepped = False

    def on_before_optimizer_step(self, *_: Any) -> None:
        self.stepped = True  # in the middle of an accumulation there are gradients, which no checkpoint holds

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        # A run resumed from before a validation skips it: unless it is the last, a step with one due is not saved.
        due = trainer.global_step >= self._next_step and not self._validation_is_due(trainer)
        if self.stepped and (due or trainer.global_step == trainer.max_steps):
            self.write_last(trainer)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if trainer.global_step > self._written_step:  # ended by other means than max_steps
            self.write_last(trainer)

    def on_fit_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if trainer.max_steps == 0:  # the model as it starts, say a folded one before any training
            self.write_last(trainer)

    def write_last(self, trainer: lightning.Trainer) -> None:
        """Writes `last.ckpt`."""
        trainer.save_checkpoint(Path(self.dirpath) / f"{self.CHECKPOINT_NAME_LAST}{self.FILE_EXTENSION}")
        self._written_step = trainer.global_step
        self._next_step = trainer.global_step + self.last_every_n_steps

    @staticmethod
    def _validation_is_due(trainer: lightning.Trainer) -> bool:
        loop = trainer.fit_loop.epoch_loop
        return loop._should_check_val_fx(trainer.fit_loop._data_fetcher)

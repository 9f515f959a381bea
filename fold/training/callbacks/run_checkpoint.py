"""Checkpoints of a run: the best on dev, and the last."""

from __future__ import annotations

from pathlib import Path

import lightning
from lightning.pytorch.callbacks import ModelCheckpoint


class RunCheckpoint(ModelCheckpoint):
    """Lightning's ModelCheckpoint, which saves after validations, but `last.ckpt` also holds the end of training."""

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        super().on_train_epoch_end(trainer, pl_module)
        if trainer.global_step == trainer.max_steps and trainer.global_step != self._last_global_step_saved:
            trainer.save_checkpoint(Path(self.dirpath) / f"{self.CHECKPOINT_NAME_LAST}{self.FILE_EXTENSION}")

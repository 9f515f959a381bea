"""One progress bar for a whole training: steps, rate, time left, losses, dev WER. In a file: a line per validation."""

from __future__ import annotations

import re
import sys
import time
from typing import Any

import lightning
from lightning.pytorch.callbacks import TQDMProgressBar

from fold.screen import say

STEPS_FORMAT = "{n_fmt}/{total_fmt} |{bar}| {elapsed}<{remaining}, {rate_noinv_fmt}{postfix}"  # fits 80 columns
REFRESH_SECONDS = 0.5  # reading losses makes the host wait for a GPU: by time, not at every step


class StepProgress(TQDMProgressBar):
    """As Lightning's bar, but the training bar counts optimizer steps to `max_steps`, over all epochs. Where standard
    output is no terminal there are no bars, and each validation is told in a line."""

    def __init__(self) -> None:
        super().__init__()
        self._shown = 0.0
        if not sys.stdout.isatty():
            self.disable()

    def enable(self) -> None:
        """Does nothing where bars would end in a file."""
        if sys.stdout.isatty():
            super().enable()

    def on_train_epoch_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        if trainer.max_steps < 0:
            return super().on_train_epoch_start(trainer, *_)
        if self.train_progress_bar.total != trainer.max_steps:
            self.train_progress_bar.reset(trainer.max_steps)
            self.train_progress_bar.initial = trainer.global_step
            self.train_progress_bar.bar_format = STEPS_FORMAT

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if trainer.max_steps < 0:
            return super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        self._show(trainer, pl_module)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._show(trainer, pl_module)

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        super().on_validation_end(trainer, pl_module)
        if self.is_disabled and trainer.is_global_zero and trainer.state.fn == "fit":
            values = ", ".join(f"{name} {value}" for name, value in self.get_metrics(trainer, pl_module).items())
            say(f"update {trainer.global_step:,}: {values}")

    def on_exception(self, *_: Any) -> None:
        """Ends the line of a bar, so that what is printed next has one of its own."""
        inner_first = (self._predict_progress_bar, self._test_progress_bar, self._val_progress_bar)
        for bar in (*inner_first, self._train_progress_bar):
            if bar is not None:
                bar.close()

    def _show(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        bar, now = self.train_progress_bar, time.monotonic()
        if self.is_enabled and (now - self._shown >= REFRESH_SECONDS or trainer.global_step == bar.total):
            self._shown = now
            bar.update(trainer.global_step - bar.n)
            bar.set_postfix(self.get_metrics(trainer, pl_module))

    def get_metrics(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Named values beside the bar, short enough to fit: `val/wer/depth_04` becomes `wer@4`."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        short = {"val/wer/depth_0*": "wer@", "val/wer/mean": "wer", "train/": ""}
        for long, brief in short.items():
            metrics = {re.sub(long, brief, name): value for name, value in metrics.items()}
        first = sorted(
            metrics, key=lambda name: not name.startswith(("loss", "wer"))
        )  # a narrow terminal cuts the rest
        shown = {name: metrics[name] for name in first}
        return {name: f"{v:.3g}" if isinstance(v, float) else v for name, v in shown.items()}

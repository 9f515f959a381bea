"""Checkpoints of a run: the best on dev, and the last: by time, before validations, at the end and at a signal."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import ModelCheckpoint

from fold.errors import FoldError
from fold.signals import EndingSignals
from fold.training.agreement import Agreement
from fold.training.checkpoint_io import LAST
from fold.training.resume import set_validation
from fold.training.run_folder import point_latest
from fold.training.scheduler import requeue


class Ended(FoldError):
    """A run was ended by a signal, on all ranks. What it needs to go on is saved."""


class RunCheckpoint(ModelCheckpoint):
    """Lightning's ModelCheckpoint keeps `best.ckpt`, judged after validations; besides, `last.ckpt`, to resume from, is
    written every `every_minutes`, before each validation, at the end of training, and when SIGTERM, SIGUSR1, SIGINT
    (Ctrl-C) or SIGHUP asks the run to end, which it then does.

    A signal may reach one rank, and each rank has its own clock: they agree in each batch (see `Agreement`).

    Args:
        every_minutes: Minutes of training between two writings of `last.ckpt`; 0: every update.
        **kwargs: ModelCheckpoint's own.
    """

    def __init__(self, every_minutes: float = 10.0, **kwargs: Any) -> None:
        if every_minutes < 0:
            raise FoldError(f"checkpoint.every_minutes is {every_minutes}: it must be 0 (every update) or more")
        super().__init__(**kwargs)
        self.every_minutes = every_minutes
        self.stepped = False
        self._signals = EndingSignals()
        self._agreement = Agreement()
        self._fits = False  # as opposed to the evaluation of a checkpoint
        self._signal = self._due = 0  # what the ranks agreed on and did not do yet
        self._written_step, self._written_time = 0, 0.0
        self._before_validation = False

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        # Lightning's handlers talk to the other ranks from within, and it asks after SIGTERM by a blocking broadcast:
        # both are replaced in this trainer alone, which types have no word for.
        trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
        loop = trainer.fit_loop.epoch_loop
        loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]
        self._fits = True
        self._signals.watch()

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self._written_step, self._written_time = trainer.global_step, time.monotonic()

    def on_train_batch_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        self.stepped = False
        elapsed = time.monotonic() - self._written_time
        self._agreement.propose(self._signals.received, trainer.is_global_zero and elapsed >= 60 * self.every_minutes)

    def on_before_optimizer_step(self, *_: Any) -> None:
        self.stepped = True  # in the middle of an accumulation there are gradients, which no checkpoint holds

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        number, due = self._agreement.result()
        self._signal, self._due = self._signal or number, self._due or due
        last = trainer.global_step == trainer.max_steps
        if not self.stepped or (self._validation_is_due(trainer) and not last):
            return  # before a validation it is written such that a resumed run begins with that
        if last or self._due or self._signal:
            self.write_last(trainer)
        self._end_if_told(trainer, "training")

    def on_validation_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if not self._fits or not self.stepped:
            return
        if self._written_step != trainer.global_step:
            self._before_validation = True
            self.write_last(trainer)
            self._before_validation = False
        self._end_if_told(trainer, "training")

    def on_validation_batch_start(self, *_: Any) -> None:
        self._before_evaluating()

    def on_validation_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        self._after_evaluating(trainer, "a validation")

    def on_test_batch_start(self, *_: Any) -> None:
        self._before_evaluating()

    def on_test_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        self._after_evaluating(trainer, "the final sweep")

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if trainer.global_step > self._written_step:  # ended by other means than max_steps
            self.write_last(trainer)

    def on_fit_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if trainer.max_steps == 0:  # the model as it starts, say a folded one before any training
            self.write_last(trainer)

    def on_save_checkpoint(self, trainer: lightning.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        set_validation(checkpoint, ahead=self._before_validation)

    def write_last(self, trainer: lightning.Trainer) -> None:
        """Writes `last.ckpt`, from which on `latest` names this run."""
        assert self.dirpath is not None  # one of a run's settings
        trainer.save_checkpoint(Path(self.dirpath) / LAST)
        self._written_step, self._written_time, self._due = trainer.global_step, time.monotonic(), 0
        if trainer.is_global_zero:
            point_latest(Path(trainer.default_root_dir))

    def _before_evaluating(self) -> None:
        if self._fits:
            self._agreement.propose(self._signals.received)

    def _after_evaluating(self, trainer: lightning.Trainer, phase: str) -> None:
        if self._fits:
            [self._signal] = self._agreement.result()
            self._end_if_told(trainer, phase)

    def _end_if_told(self, trainer: lightning.Trainer, phase: str) -> None:
        """Raises Ended if any rank had a signal."""
        if not self._signal:
            return
        kind = signal.Signals(self._signal).name
        goes_on = f"RESUME=1 (--ckpt_path=last --run_dir={trainer.default_root_dir}) goes on"
        requeued = requeue(self._signal) if trainer.is_global_zero else None
        step = trainer.global_step if trainer.testing else self._written_step
        saved = f"step {step} is saved" if step else "no checkpoint is written yet"
        raise Ended(f"ended by {kind} in {phase}, {saved}; {requeued or goes_on}")

    @staticmethod
    def _validation_is_due(trainer: lightning.Trainer) -> bool:
        fetcher = trainer.fit_loop._data_fetcher
        assert fetcher is not None  # there is one while it trains
        return trainer.fit_loop.epoch_loop._should_check_val_fx(fetcher)

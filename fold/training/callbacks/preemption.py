"""What a cluster's signal does to a run: it saves a checkpoint and ends."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

import lightning

from fold.errors import FoldError
from fold.training.callbacks.run_checkpoint import RunCheckpoint

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class Preempted(FoldError):
    """Training was ended by a signal, after a checkpoint was saved."""


class Preemption(lightning.Callback):
    """On SIGTERM or SIGUSR1 saves `last.ckpt` after the step at hand and ends the run in an orderly way.

    every_n_steps: with several ranks, steps between two looks at each other's signals (each look is a small
    synchronisation, and a signal may reach one rank only).
    """

    def __init__(self, every_n_steps: int = 10) -> None:
        self.every_n_steps = every_n_steps
        self.received = False
        self._handlers: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        # After Lightning's own, which talks to the other ranks from within the handler.
        self._handlers = {number: signal.signal(number, self._receive) for number in SIGNALS}

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received = True

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        [checkpoint] = [one for one in trainer.checkpoint_callbacks if isinstance(one, RunCheckpoint)]
        if checkpoint.stepped and self._told(trainer, trainer.global_step):
            checkpoint.write_last(trainer)
            raise Preempted(f"ended by a signal after {trainer.global_step} steps; the same with RESUME=1 goes on")

    def on_validation_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, *_: int
    ) -> None:
        if self._told(trainer, batch_idx):
            raise Preempted(
                "ended by a signal in a validation; the same with RESUME=1 goes on from the last checkpoint"
            )

    def _told(self, trainer: lightning.Trainer, number: int) -> bool:
        """Whether any rank has a signal; `number` counts the occasions to ask."""
        if trainer.world_size == 1:
            return self.received
        return number % self.every_n_steps == 0 and trainer.strategy.reduce_boolean_decision(self.received, all=False)

    def teardown(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        while self._handlers:
            signal.signal(*self._handlers.popitem())

"""A run that is signalled as clusters do it: all of its processes at once, at a chosen moment."""

import os
import signal
from pathlib import Path
from typing import Any

import lightning


class SignalsItsGroup(lightning.Callback):
    """Sends a signal to the process group of rank 0, loader workers and other ranks included, once.

    number: of the signal; phase: train, validation or test; step: sent in the first batch after so many updates.
    """

    def __init__(self, number: int, phase: str, step: int = 0) -> None:
        self.number = signal.Signals(number)
        self.phase = phase
        self.step = step

    def _send(self, trainer: lightning.Trainer, phase: str) -> None:
        if trainer.is_global_zero and phase == self.phase and trainer.global_step >= self.step:
            self.phase = "done"
            Path("signalled").touch()
            os.killpg(0, self.number)

    def on_train_batch_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        self._send(trainer, "train")

    def on_validation_batch_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        self._send(trainer, "validation")

    def on_test_batch_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        self._send(trainer, "test")

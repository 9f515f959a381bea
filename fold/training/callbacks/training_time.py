"""What training takes."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import lightning

from fold.checkpoint import TRAINING
from fold.evaluation.sweep import device_name
from fold.report.record import Training
from fold.training.parts import data_of


class TrainingTime(lightning.Callback):
    """Sums wall time and processor time of the first process over training steps, validations left out.

    Checkpoints carry the sums, so that a resumed run goes on counting.
    """

    def __init__(self) -> None:
        self._before: Training | None = None  # of the checkpoint that is resumed or evaluated
        self._wall = self._cpu = 0.0  # seconds since
        self._since: tuple[float, float] | None = None  # both clocks, while they run

    def on_train_start(self, *_: Any) -> None:
        self._start()

    def on_train_batch_start(self, *_: Any) -> None:
        self._start()

    def on_validation_start(self, *_: Any) -> None:
        self._stop()

    def on_train_end(self, *_: Any) -> None:
        self._stop()

    def _start(self) -> None:
        if self._since is None:
            self._since = time.perf_counter(), time.process_time()

    def _stop(self) -> None:
        self._count()
        self._since = None

    def _count(self) -> None:
        if self._since is not None:
            now = time.perf_counter(), time.process_time()
            self._wall += now[0] - self._since[0]
            self._cpu += now[1] - self._since[1]
            self._since = now

    def training(self, trainer: lightning.Trainer) -> Training | None:
        """What the model took so far, if that is known."""
        self._count()
        if not self._wall:
            return self._before
        before = self._before or Training(updates=0, hours=0.0, cpu_hours=0.0, processes=trainer.world_size)
        with trainer.precision_plugin.forward_context():
            devices = [*before.device.split(" + "), device_name(trainer.strategy.root_device)]
        return Training(
            updates=trainer.global_step,
            hours=before.hours + self._wall / 3600,
            cpu_hours=before.cpu_hours + self._cpu / 3600,
            processes=trainer.world_size,
            device=" + ".join(dict.fromkeys(filter(None, devices))),
            data=data_of(trainer).index.splits["train"].fingerprint,
        )

    def on_save_checkpoint(self, trainer: lightning.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        took = self.training(trainer)
        checkpoint[TRAINING] = took and dataclasses.asdict(took)

    def on_load_checkpoint(self, trainer: lightning.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        took = checkpoint.get(TRAINING)
        self._before = took and Training(**took)

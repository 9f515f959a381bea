"""How fast training goes, and what holds it up."""

from __future__ import annotations

import sys
import time
from typing import Any

import lightning
import torch

from fold.data.batching import Batch
from fold.training.parts import data_of


class Throughput(lightning.Callback):
    """Logs, over the steps since the last log:

    `train/audio_per_second`: seconds of audio a second, all ranks together (also in the progress bar);
    `train/waiting_share`: share of the time between steps, most of it waiting for data;
    `train/peak_memory_gb`: most memory in use so far: of the accelerator, else of the process.
    Validations do not count.
    """

    def __init__(self) -> None:
        self._ended = 0.0
        self._clear()

    def _clear(self) -> None:
        self._samples, self._steps, self._waited, self._since = 0, 0, 0.0, time.perf_counter()

    def on_train_start(self, *_: Any) -> None:
        self._clear()
        self._ended = self._since

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if trainer.state.fn == "fit":
            self.on_train_start()

    def on_train_batch_start(self, trainer: lightning.Trainer, pl_module: Any, batch: Batch, batch_idx: int) -> None:
        self._waited += time.perf_counter() - self._ended

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Batch, *_: Any
    ) -> None:
        self._ended = time.perf_counter()
        self._samples += int(batch.num_samples.sum())
        self._steps += 1
        if self._steps < trainer.log_every_n_steps:  # type: ignore[attr-defined]  # set by one of its connectors
            return
        seconds = self._ended - self._since
        audio = self._samples / data_of(trainer).sample_rate * trainer.world_size
        pl_module.log("train/audio_per_second", audio / seconds, prog_bar=True)
        pl_module.log("train/waiting_share", self._waited / seconds)
        pl_module.log("train/peak_memory_gb", peak_memory(trainer.strategy.root_device) / 1e9)
        self._clear()


def peak_memory(device: torch.device) -> int:
    """Bytes."""
    if device.type != "cpu":
        return torch.accelerator.max_memory_allocated(device)
    import resource  # missing on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

"""What bad data does to a run: it is counted, told, and too much of it stops the run."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any, Literal

import lightning
import torch.distributed
from lightning.pytorch.utilities import rank_zero_only

from fold.data.batching import Batch
from fold.data.faults import FaultCounts, FaultPolicy, enforce

log = logging.getLogger(__name__)

SPLITS = {"train": "train", "val": "dev", "test": "test", "predict": "test"}
KEY = "bad_data"  # of the counts in a checkpoint
TOLD = 20  # faults of a pass that are told one by one


class BadData(lightning.Callback):
    """Counts the utterances that were left out of batches, by reason and shard.

    on_fault: "skip" counts an utterance and goes on, "raise" stops at the first; max_share: of a split that may be
    skipped in one pass; more than that always stops the run.
    Logs `bad_data/train/<reason>` (and val, test) after each pass; the log names each utterance, its shard and why.
    """

    def __init__(self, on_fault: Literal["skip", "raise"] = "skip", max_share: float = 0.01) -> None:
        self.policy = FaultPolicy(on_fault, max_share)
        self.passes = {stage: FaultCounts() for stage in SPLITS}
        self.totals = {stage: FaultCounts() for stage in SPLITS}

    def _see(self, stage: str, trainer: lightning.Trainer, batch: Batch) -> None:
        counts = self.passes[stage]
        for fault in batch.faults[: max(0, TOLD - len(counts))]:
            log.warning(f"skipped: {fault}")
        counts.add(batch.faults)
        self.totals[stage].add(batch.faults)
        utterances = trainer.datamodule.index.splits[SPLITS[stage]].utterances
        enforce(self.policy, batch.faults, len(counts), utterances // trainer.world_size)

    def on_train_batch_start(self, trainer: lightning.Trainer, pl_module: Any, batch: Batch, batch_idx: int) -> None:
        self._see("train", trainer, batch)

    def on_validation_batch_start(self, trainer: lightning.Trainer, pl_module: Any, batch: Batch, *_: int) -> None:
        self._see("val", trainer, batch)

    def on_test_batch_start(self, trainer: lightning.Trainer, pl_module: Any, batch: Batch, *_: int) -> None:
        self._see("test", trainer, batch)

    def on_predict_batch_start(self, trainer: lightning.Trainer, pl_module: Any, batch: Batch, *_: int) -> None:
        self._see("predict", trainer, batch)

    def on_train_epoch_start(self, *_: Any) -> None:
        self.passes["train"] = FaultCounts()

    def on_validation_epoch_start(self, *_: Any) -> None:
        self.passes["val"] = FaultCounts()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._log("train", trainer, pl_module)

    def on_validation_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._log("val", trainer, pl_module)

    def on_test_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._log("test", trainer, pl_module)

    def _log(self, stage: str, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        for reason, number in sorted(over_ranks(self.passes[stage], trainer).by_reason().items()):
            pl_module.log(f"bad_data/{stage}/{reason.replace(' ', '_')}", float(number), rank_zero_only=True)

    def on_fit_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        tell("training", over_ranks(self.totals["train"], trainer))
        tell("dev", over_ranks(self.totals["val"], trainer))

    def on_test_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        tell("test", over_ranks(self.totals["test"], trainer))

    def on_exception(self, trainer: lightning.Trainer, pl_module: Any, exception: BaseException) -> None:
        for stage, counts in self.totals.items():  # of this rank alone: the others may be gone
            tell(stage, counts)

    def on_save_checkpoint(self, trainer: lightning.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint[KEY] = [
            {
                stage: [[*key, n] for key, n in over_ranks(counts, trainer).counts.items()]
                for stage, counts in group.items()
            }
            for group in (self.passes, self.totals)
        ]

    def on_load_checkpoint(self, trainer: lightning.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        if not trainer.is_global_zero or trainer.state.fn != "fit":
            return  # what all ranks had counted is rank 0's from here on
        for group, saved in zip((self.passes, self.totals), checkpoint.get(KEY, ()), strict=False):
            for stage, listed in saved.items():
                group[stage].counts = Counter({(reason, shard): n for reason, shard, n in listed})


def rows(counts: FaultCounts) -> list[list[str | int]]:
    """Reason, shard and number, in plain values."""
    return [[reason, shard, number] for (reason, shard), number in counts.counts.items()]


def over_ranks(counts: FaultCounts, trainer: lightning.Trainer) -> FaultCounts:
    """The counts of all ranks together."""
    if trainer.world_size == 1:
        return counts
    gathered: list[Counter] = [Counter()] * trainer.world_size
    torch.distributed.all_gather_object(gathered, counts.counts)
    summed = FaultCounts()
    for one in gathered:
        summed.counts.update(one)
    return summed


@rank_zero_only
def tell(what: str, counts: FaultCounts) -> None:
    """Prints a summary, if there is anything to tell."""
    if len(counts):
        print(counts.summary(what))

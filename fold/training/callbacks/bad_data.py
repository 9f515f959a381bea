"""What bad data does to a run: it is counted, listed in a file, and too much of it stops the run."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import lightning
import torch.distributed
from lightning.pytorch.utilities import rank_zero_only

from fold.data.batching import Batch
from fold.data.faults import Fault, FaultCounts, FaultPolicy, enforce
from fold.screen import say
from fold.training import wandb_run
from fold.training.parts import data_of

SPLITS = {"train": "train", "val": "dev", "test": "test", "predict": "test"}
KINDS = {**SPLITS, "train": "training"}  # what utterances are called
KEY = "bad_data"  # of the counts in a checkpoint
LIST = "skipped.tsv"  # in the run folder: a line per utterance
LISTED = 1000  # utterances, of a process


class BadData(lightning.Callback):
    """Counts the utterances that were left out of batches, by reason and shard.

    Logs `bad_data/train/<reason>` (and val, test) after each pass and, at the end, one line on the screen and a W&B
    table by reason and shard. `skipped.tsv` in the run folder names the utterances: split, shard, id, reason, detail.

    Args:
        on_fault: `skip` counts an utterance and goes on, `raise` stops at the first.
        max_share: Share of a split that may be skipped in one pass; more than that stops the run, at once if a rank
            alone exceeds it, else after the pass.
    """

    def __init__(self, on_fault: Literal["skip", "raise"] = "skip", max_share: float = 0.01) -> None:
        self.policy = FaultPolicy(on_fault, max_share)
        self.passes = {stage: FaultCounts() for stage in SPLITS}
        self.totals = {stage: FaultCounts() for stage in SPLITS}
        self._listed = 0

    def _see(self, stage: str, trainer: lightning.Trainer, batch: Batch) -> None:
        counts = self.passes[stage]
        self._list(stage, trainer, batch.faults)
        counts.add(batch.faults)
        self.totals[stage].add(batch.faults)
        enforce(self.policy, batch.faults, len(counts), utterances(stage, trainer))

    def _list(self, stage: str, trainer: lightning.Trainer, faults: Sequence[Fault]) -> None:
        """Appends lines to the file, which all processes of a run share."""
        chosen = faults[: max(0, LISTED - self._listed)]
        if not chosen:
            return
        self._listed += len(chosen)
        lines = ["\t".join((SPLITS[stage], f.shard, f.id, f.reason, f.detail)) + "\n" for f in chosen]
        with contextlib.suppress(OSError):  # a full disk costs the list, not the run
            folder = Path(trainer.default_root_dir)
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / LIST).open("a", encoding="utf-8") as stream:
                stream.write("".join(lines))

    def on_train_batch_start(self, trainer: lightning.Trainer, pl_module: Any, batch: Batch, batch_idx: int) -> None:
        self._see("train", trainer, batch)

    def on_validation_batch_start(self, trainer: lightning.Trainer, pl_module: Any, batch: Batch, *_: int) -> None:
        self._see("val", trainer, batch)

    def on_test_batch_start(self, trainer: lightning.Trainer, pl_module: Any, batch: Batch, *_: int) -> None:
        self._see("test", trainer, batch)

    def on_predict_batch_start(self, trainer: lightning.Trainer, pl_module: Any, batch: Batch, *_: int) -> None:
        self._see("predict", trainer, batch)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._end_pass("train", trainer, pl_module)

    def on_validation_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._end_pass("val", trainer, pl_module)

    def on_test_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._end_pass("test", trainer, pl_module)

    def _end_pass(self, stage: str, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        [counts] = summed([self.passes[stage]], trainer)
        self.passes[stage] = FaultCounts()
        for reason, number in sorted(counts.by_reason().items()):
            pl_module.log(f"bad_data/{stage}/{reason.replace(' ', '_')}", float(number), rank_zero_only=True)
        enforce(self.policy, (), len(counts), utterances(stage, trainer))

    def on_fit_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._tell(trainer, "train", "val")

    def on_test_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._tell(trainer, "test")

    def on_predict_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._tell(trainer, "predict")

    def _tell(self, trainer: lightning.Trainer, *stages: str) -> None:
        for stage, counts in zip(stages, summed([self.totals[stage] for stage in stages], trainer), strict=True):
            tell(KINDS[stage], counts, trainer)
            if len(counts):
                wandb_run.log_bad_data(trainer, KINDS[stage], counts)

    def on_exception(self, trainer: lightning.Trainer, pl_module: Any, exception: BaseException) -> None:
        for stage, counts in self.totals.items():  # of this rank only: the others may be gone
            tell(KINDS[stage], counts, trainer)

    def on_save_checkpoint(self, trainer: lightning.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint[KEY] = [
            [[reason, shard, number] for (reason, shard), number in counts.counts.items()]
            for counts in summed(self._kept(), trainer)
        ]

    def on_load_checkpoint(self, trainer: lightning.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        if not trainer.is_global_zero or trainer.state.fn != "fit":
            return  # what all ranks had counted is rank 0's from here on
        for counts, listed in zip(self._kept(), checkpoint.get(KEY, ()), strict=False):
            counts.counts = Counter({(reason, shard): number for reason, shard, number in listed})

    def _kept(self) -> list[FaultCounts]:
        """What a resumed run goes on with: other passes begin anew."""
        return [self.passes["train"], self.totals["train"], self.totals["val"]]


def utterances(stage: str, trainer: lightning.Trainer) -> int:
    """Utterances of a whole pass, over all ranks."""
    return data_of(trainer).index.splits[SPLITS[stage]].utterances


def summed(counts: Sequence[FaultCounts], trainer: lightning.Trainer) -> list[FaultCounts]:
    """Each of `counts` summed over the ranks, in one exchange."""
    if trainer.world_size == 1:
        return list(counts)
    gathered: list[list[Counter[tuple[str, str]]]] = [[]] * trainer.world_size
    torch.distributed.all_gather_object(gathered, [one.counts for one in counts])
    return [FaultCounts(sum(of_ranks, Counter())) for of_ranks in zip(*gathered, strict=True)]


@rank_zero_only
def tell(what: str, counts: FaultCounts, trainer: lightning.Trainer) -> None:
    """Prints a summary, if there is anything to tell."""
    if len(counts):
        say(f"{counts.summary(what)}; see {Path(trainer.default_root_dir) / LIST}")

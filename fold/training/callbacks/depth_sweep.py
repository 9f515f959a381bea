"""WER per depth: a few depths after each validation, every depth after the test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Any

import lightning
import torch.distributed
from lightning.pytorch.utilities import rank_zero_only

from fold.data.batching import Batch
from fold.decoding.decode import Trial
from fold.evaluation.checkpoint import Evaluation
from fold.evaluation.sweep import Transcripts, make_record, real_time_factors, sweep_paths, sweep_rows
from fold.metrics import PathErrors
from fold.report.figure import Baseline, plot_sweep
from fold.report.record import Record, write_record
from fold.report.sweep import SweepRow, by_subset, summarise, write_sweep
from fold.training import wandb_run
from fold.training.callbacks.run_settings import settings_of
from fold.training.callbacks.training_time import TrainingTime
from fold.training.module import FoldableASR


class DepthSweep(lightning.Callback):
    """Evaluates paths together through the prefix tree and sums their errors exactly over ranks.

    Logs `val/wer/depth_NN` and `test/wer/depth_NN` (canonical path, percent), or `val/<subset>/wer/depth_NN` where the
    split has several subsets; and `val/wer/mean`, over the depths and the subsets, each of which counts alike.

    Args:
        folder: Where `depth_sweep.csv`, `.json` and `.png` of a test go.
        experiment: Its name, for titles.
        val_depths: Depths evaluated (canonical path) after each validation; null: the two ends and the middle.
        paths_per_depth: Further paths sampled of each depth in a test, for greedy decoding.
        baselines: Individually trained models, drawn as points in the figure.
    """

    def __init__(
        self,
        folder: str,
        experiment: str,
        val_depths: list[int] | None = None,
        paths_per_depth: int = 8,
        baselines: list[Baseline] | None = None,
    ) -> None:
        self.folder = FilePath(folder)
        self.experiment = experiment
        self.val_depths = val_depths
        self.paths_per_depth = paths_per_depth
        self.baselines = baselines or []
        self.rows: list[SweepRow] = []
        self._trials: list[Trial] = []

    def on_validation_epoch_start(self, trainer: lightning.Trainer, pl_module: FoldableASR) -> None:
        depths = pl_module.space.depths
        chosen = self.val_depths or sorted({depths[0], depths[len(depths) // 2], depths[-1]})
        subsets = trainer.datamodule.index.splits["dev"].subsets
        paths = sweep_paths(pl_module.space, chosen, paths_per_depth=0)
        self._start(pl_module, [Trial(path, pl_module.decoding) for path in paths], subsets)

    def on_test_epoch_start(self, trainer: lightning.Trainer, pl_module: FoldableASR) -> None:
        evaluation = Evaluation("test", paths_per_depth=self.paths_per_depth)
        trials = evaluation.trials(pl_module.space, pl_module.test_decoding)
        self._start(pl_module, trials, trainer.datamodule.index.splits["test"].subsets)

    def _start(self, pl_module: FoldableASR, trials: list[Trial], subsets: Sequence[str]) -> None:
        self._trials = trials
        self._errors = PathErrors(subsets, len(trials)).to(pl_module.device)
        self._transcripts = Transcripts(pl_module.space, trials)

    def on_validation_batch_end(
        self, trainer: lightning.Trainer, pl_module: FoldableASR, outputs: None, batch: Batch, *_: int
    ) -> None:
        self._evaluate(trainer, pl_module, batch)

    def on_test_batch_end(
        self, trainer: lightning.Trainer, pl_module: FoldableASR, outputs: None, batch: Batch, *_: int
    ) -> None:
        self._transcripts.add(batch, self._evaluate(trainer, pl_module, batch))

    def _evaluate(self, trainer: lightning.Trainer, pl_module: FoldableASR, batch: Batch) -> list[list[str]]:
        """Counts the errors of each trial; returns the transcripts."""
        with trainer.precision_plugin.forward_context():
            found = pl_module.transcribe(batch, self._trials)
        for index, texts in enumerate(found):
            self._errors.update(index, batch.texts, texts, batch.subsets)
        return found

    def on_validation_epoch_end(self, trainer: lightning.Trainer, pl_module: FoldableASR) -> None:
        self._finish(pl_module)
        shown = scalars("val", self.rows)
        several = len(self._errors.subsets) > 1  # too many values to stand beside a progress bar
        pl_module.log_dict(shown, prog_bar=not several)
        pl_module.log("val/wer/mean", sum(shown.values()) / len(shown), prog_bar=several)

    def on_test_epoch_end(self, trainer: lightning.Trainer, pl_module: FoldableASR) -> None:
        self._finish(pl_module)
        pl_module.log_dict(scalars("test", self.rows))
        if trainer.world_size > 1:
            shares: list[Any] = [None] * trainer.world_size
            torch.distributed.all_gather_object(shares, self._transcripts.share())
            for share in shares:
                self._transcripts.merge(*share)
        with trainer.precision_plugin.forward_context():  # in which devices are timed
            record = self._record(trainer, pl_module)
        self._report(trainer, record)

    def _finish(self, pl_module: FoldableASR) -> None:
        counts = self._errors.compute()
        num_params = pl_module.model.num_parameters()
        self.rows = sweep_rows(pl_module.space, self._trials, counts, num_params)

    @rank_zero_only
    def _record(self, trainer: lightning.Trainer, pl_module: FoldableASR) -> Record:
        description, model = pl_module.description, pl_module.model
        took = next((c.training(trainer) for c in trainer.callbacks if isinstance(c, TrainingTime)), None)
        return make_record(
            model,
            self.rows,
            self._transcripts,
            real_time_factors(model, description, self._transcripts.timed, pl_module.test_decoding),
            name=self.experiment,
            corpus=trainer.datamodule.index.corpus["class"],
            split="test",
            training=took,
            settings=settings_of(trainer),
            decoding=pl_module.test_decoding,
        )

    @rank_zero_only
    def _report(self, trainer: lightning.Trainer, record: Record) -> None:
        write_sweep(self.rows, self.folder / "depth_sweep.csv")
        write_record(record, self.folder / "depth_sweep.json")
        title = f"{self.experiment}: WER by executed depth"
        figure = plot_sweep(self.rows, self.folder / "depth_sweep.png", title, self.baselines)
        wandb_run.log_sweep(trainer, record, figure)


def scalars(stage: str, rows: Sequence[SweepRow]) -> dict[str, float]:
    """WER of canonical paths by what it is logged as."""
    parts = by_subset(rows)
    names = {subset: f"{stage}/{subset}/wer" if len(parts) > 1 else f"{stage}/wer" for subset in parts}
    return {
        f"{names[subset]}/depth_{summary.depth:02d}": summary.canonical.wer
        for subset, of_subset in parts.items()
        for summary in summarise(of_subset)
        if summary.canonical
    }

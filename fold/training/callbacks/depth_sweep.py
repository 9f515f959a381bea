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
from fold.errors import FoldError
from fold.evaluation.checkpoint import Evaluation
from fold.evaluation.macs import macs_per_second
from fold.evaluation.sweep import Transcripts, make_record, real_time_factors, sweep_paths, sweep_rows
from fold.metrics import PathErrors
from fold.report.figure import Baseline, plot_sweep
from fold.report.record import Record, write_record
from fold.report.sweep import SweepRow, by_subset, summarise, write_sweep
from fold.training import wandb_run
from fold.training.callbacks.run_settings import settings_of
from fold.training.callbacks.training_time import TrainingTime
from fold.training.module import FoldableASR, foldable
from fold.training.parts import callbacks_of, data_of


class DepthSweep(lightning.Callback):
    """Evaluates paths together through the prefix tree and sums their errors exactly over ranks.

    Logs `val/wer/depth_NN` and `test/wer/depth_NN` (canonical path, percent), or `val/<subset>/wer/depth_NN` where the
    split has several subsets; and `val/wer/mean` and `val/cer/mean`, over the depths and the subsets, each of which
    counts alike.

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

    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        depths = foldable(pl_module).space.depths
        for depth in self.val_depths or []:
            if depth not in depths:
                raise FoldError(f"sweep.val_depths: {depth}; the model has depths {depths[0]} to {depths[-1]}")

    def on_validation_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        module = foldable(pl_module)
        depths = module.space.depths
        chosen = self.val_depths or sorted({depths[0], depths[len(depths) // 2], depths[-1]})
        subsets = data_of(trainer).index.splits["dev"].subsets
        paths = sweep_paths(module.space, chosen, paths_per_depth=0)
        self._start(module, [Trial(path, module.decoding) for path in paths], subsets)

    def on_test_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        module, evaluation = foldable(pl_module), Evaluation("test", paths_per_depth=self.paths_per_depth)
        trials = evaluation.trials(module.space, module.test_decoding)
        self._start(module, trials, data_of(trainer).index.splits["test"].subsets)

    def _start(self, module: FoldableASR, trials: list[Trial], subsets: Sequence[str]) -> None:
        self._trials = trials
        self._errors = PathErrors(subsets, len(trials)).to(module.device)
        self._transcripts = Transcripts(module.space, trials)

    def on_validation_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Batch, *_: Any
    ) -> None:
        self._evaluate(trainer, foldable(pl_module), batch)

    def on_test_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Batch, *_: Any
    ) -> None:
        self._transcripts.add(batch, self._evaluate(trainer, foldable(pl_module), batch))

    def _evaluate(self, trainer: lightning.Trainer, module: FoldableASR, batch: Batch) -> list[list[str]]:
        """Counts the errors of each trial; returns the transcripts."""
        with trainer.precision_plugin.forward_context():
            found = module.transcribe(batch, self._trials)
        for index, texts in enumerate(found):
            self._errors.update(index, batch.texts, texts, batch.subsets)
        return found

    def on_validation_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._finish(foldable(pl_module))
        shown = scalars("val", self.rows)
        several = len(self._errors.subsets) > 1  # too many values to stand beside a progress bar
        pl_module.log_dict(shown, prog_bar=not several)
        pl_module.log("val/wer/mean", sum(shown.values()) / len(shown), prog_bar=several)
        character_errors = [row.cer for row in self.rows if row.canonical]
        pl_module.log("val/cer/mean", sum(character_errors) / len(character_errors))

    def on_test_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        module = foldable(pl_module)
        self._finish(module)
        module.log_dict(scalars("test", self.rows))
        if trainer.world_size > 1:
            shares: list[Any] = [None] * trainer.world_size
            torch.distributed.all_gather_object(shares, self._transcripts.share())
            for share in shares:
                self._transcripts.merge(*share)
        with trainer.precision_plugin.forward_context():  # in which devices are timed
            record = self._record(trainer, module)
        if record is not None:
            self._report(trainer, record)

    def _finish(self, module: FoldableASR) -> None:
        counts = self._errors.compute()
        num_params = module.model.num_parameters()
        self.rows = sweep_rows(module.space, self._trials, counts, num_params)

    @rank_zero_only
    def _record(self, trainer: lightning.Trainer, module: FoldableASR) -> Record:
        """The first rank's record; None on the others."""
        description, model = module.description, module.model
        took = next((c.training(trainer) for c in callbacks_of(trainer) if isinstance(c, TrainingTime)), None)
        return make_record(
            model,
            self.rows,
            self._transcripts,
            real_time_factors(model, description, self._transcripts.timed, module.test_decoding),
            macs=macs_per_second(model, description),
            name=self.experiment,
            corpus=data_of(trainer).index.corpus["class"],
            split="test",
            training=took,
            settings=settings_of(trainer),
            decoding=module.test_decoding,
        )

    def _report(self, trainer: lightning.Trainer, record: Record) -> None:
        write_sweep(self.rows, self.folder / "depth_sweep.csv")
        write_record(record, self.folder / "depth_sweep.json")
        title = f"{self.experiment}: WER by executed depth"
        figure = self.folder / "depth_sweep.png"
        plot_sweep(self.rows, figure, title, self.baselines)
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

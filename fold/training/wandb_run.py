"""All that touches W&B: what a run holds besides the scalars that Lightning logs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import lightning
import wandb
from lightning.pytorch.loggers import WandbLogger
from matplotlib.figure import Figure

from fold.data.faults import FaultCounts
from fold.report.sweep import COLUMNS, SweepRow


def log_config(trainer: lightning.Trainer, config: dict[str, Any]) -> None:
    """Puts the resolved configuration into the run's config."""
    for run in _runs(trainer):
        run.config.update(config, allow_val_change=True)


def log_sweep(trainer: lightning.Trainer, rows: Sequence[SweepRow], figure: Figure) -> None:
    """Puts a depth sweep into the run: a table with a row a path, and its figure."""
    for run in _runs(trainer):
        table = wandb.Table(columns=list(COLUMNS), data=[list(dataclasses.astuple(row)) for row in rows])
        run.log({"test/depth_sweep": table, "test/depth_sweep_figure": wandb.Image(figure)})


def log_bad_data(trainer: lightning.Trainer, kind: str, counts: FaultCounts) -> None:
    """Puts what was skipped into the run: a table with a row a reason and shard."""
    rows = [[reason, shard, number] for (reason, shard), number in counts.counts.most_common()]
    for run in _runs(trainer):
        run.log({f"bad_data/{kind}": wandb.Table(columns=["reason", "shard", "utterances"], data=rows)})


def run_id(trainer: lightning.Trainer) -> str | None:
    """The id of the trainer's run, if it has one (on rank 0)."""
    return next((run.id for run in _runs(trainer)), None)


def resume(loggers: Any, run_id: str | None) -> None:
    """Edits the configuration of the trainer's loggers so that W&B goes on with the run of that id."""
    for logger in loggers if isinstance(loggers, list) else []:
        if logger.class_path.endswith("WandbLogger"):
            logger.init_args.id = run_id


def finish() -> None:
    """Closes the run, so that what it prints comes before our own last line."""
    if wandb.run is not None:
        wandb.finish()


def _runs(trainer: lightning.Trainer) -> list[Any]:
    """The W&B runs of the trainer's loggers (on rank 0; there are none elsewhere)."""
    if not trainer.is_global_zero:
        return []
    return [logger.experiment for logger in trainer.loggers if isinstance(logger, WandbLogger)]

"""All that touches W&B: what a run holds besides the scalars that Lightning logs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import lightning
import wandb
from jsonargparse import Namespace
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from fold.data.faults import FaultCounts
from fold.report.record import Record
from fold.report.sweep import COLUMNS, summarise
from fold.training.wandb_logger import environment_checked

BY_DEPTH = ("depth", "wer", "cer", "mean_wer", "best_wer", "worst_wer", "real_time_factor")
SHARED = ("depth", "real_time_factor")  # by subsets
SHOWN_TRANSCRIPTS = 50


def set_up(loggers: Any, offline: bool) -> None:
    """Prepares W&B before a logger of the configuration makes its run (on rank 0; nothing elsewhere).

    W&B reads its mode once in a process, whatever it is first used for: where something else of it was used before, it
    must be told that a run is offline. An offline run prints nothing: it needs no page and no login.
    """
    rank: int = rank_zero_only.rank  # type: ignore[attr-defined]  # Lightning keeps it there
    if offline and rank == 0 and _wandb_loggers(loggers):
        with environment_checked():
            wandb.setup(wandb.Settings(mode="offline", silent=True))


def log_config(trainer: lightning.Trainer, config: dict[str, Any]) -> None:
    """Puts the resolved configuration into the run's config."""
    for run in _runs(trainer):
        run.config.update(config, allow_val_change=True)


def log_sweep(trainer: lightning.Trainer, record: Record, figure: Path) -> None:
    """Puts a depth sweep into the run.

    A table with a row per path, its figure (a PNG file), a chart of WER against depth, transcripts that differ from
    what was said, and scalars under `by_depth/` (of several subsets `by_depth/<subset>/`) logged once per depth, with
    `by_depth/depth` as their axis: charts of them overlay runs.
    """
    for run in _runs(trainer):
        table = wandb.Table(columns=list(COLUMNS), data=[list(dataclasses.astuple(row)) for row in record.rows])
        run.log(
            {
                "test/depth_sweep": table,
                "test/depth_sweep_figure": wandb.Image(str(figure)),
                "test/wer_by_depth": _line(record),
                "test/transcripts": wandb.Table(*_transcripts(record)),
            }
        )
        run.define_metric("by_depth/depth", hidden=True)
        points = by_depth_scalars(record)
        for name in {name for point in points for name in point} - {"by_depth/depth"}:
            run.define_metric(name, step_metric="by_depth/depth")
        for point in points:
            run.log(point)
        run.summary.update(
            {
                "model/physical_layers": record.num_layers,
                "model/parameters": record.num_params,
                "model/stored_mb": record.stored_bytes / 1e6,
            }
        )


def by_depth_scalars(record: Record) -> list[dict[str, float]]:
    """For each depth what is logged of all subsets; depth and real-time factor are theirs together."""
    found: dict[float, dict[str, float]] = {}
    for subset in record.subsets:
        of_subset = f"{subset}/" if len(record.subsets) > 1 else ""
        for row in by_depth(record.of(subset)):
            depth = row["depth"]
            assert depth is not None  # other values may be
            for name, value in row.items():
                part = "" if name in SHARED else of_subset
                if value is not None:
                    found.setdefault(depth, {})[f"by_depth/{part}{name}"] = value
    return list(found.values())


def _line(record: Record) -> Any:
    """The chart of WER against depth, a line per subset."""
    columns: list[str | int] = ["subset", *BY_DEPTH]  # as wandb.Table wants them
    rows = [[subset, *row.values()] for subset in record.subsets for row in by_depth(record.of(subset))]
    stroke = "subset" if len(record.subsets) > 1 else None
    points = wandb.Table(columns=columns, data=rows)
    return wandb.plot.line(points, "depth", "wer", stroke, title="WER (%) by executed depth")


def by_depth(record: Record) -> list[dict[str, float | None]]:
    """For each depth of one subset the values named by BY_DEPTH: of the canonical path, and over all paths."""
    return [
        dict(
            zip(
                BY_DEPTH,
                (
                    summary.depth,
                    row.wer,
                    row.cer,
                    summary.mean,
                    summary.best,
                    summary.worst,
                    record.real_time_factors.get(row.path),
                ),
                strict=True,
            )
        )
        for summary in summarise(record.rows)
        if (row := summary.canonical)
    ]


def _transcripts(record: Record) -> tuple[list[str | int], list[list[str]]]:
    """Columns and rows of a table: of each subset some utterances that any depth has wrong, and what each depth made of
    them."""
    rows = []
    for subset in record.subsets:
        part = record.of(subset)
        paths = [row.path for row in part.canonical.values()]
        wrong = sorted({id for path in paths for id in part.errors[path]})[:SHOWN_TRANSCRIPTS]
        said = [part.hypotheses(path) for path in paths]
        rows += [[subset, id, part.references[id], *(texts[id] for texts in said)] for id in wrong]
    return ["subset", "id", "reference", *(f"depth {depth}" for depth in part.canonical)], rows


def log_bad_data(trainer: lightning.Trainer, kind: str, counts: FaultCounts) -> None:
    """Puts what was skipped into the run: a table with a row per reason and shard."""
    rows = [[reason, shard, number] for (reason, shard), number in counts.counts.most_common()]
    for run in _runs(trainer):
        run.log({f"bad_data/{kind}": wandb.Table(columns=["reason", "shard", "utterances"], data=rows)})


def run_id(trainer: lightning.Trainer) -> str | None:
    """The id of the trainer's run, if it has one (on rank 0)."""
    return next((run.id for run in _runs(trainer)), None)


def resume(loggers: Any, run_id: str | None) -> None:
    """Edits the configuration of the trainer's loggers so that W&B goes on with the run of that id."""
    for logger in _wandb_loggers(loggers):
        logger.init_args.id = run_id


def without_run(config: Namespace) -> Namespace:
    """A configuration without the id of the W&B run that it goes on with."""
    copied = config.clone()
    resume(copied.trainer.logger, None)
    return copied


def finish() -> str | None:
    """Closes the run, so that what W&B prints comes before our own last lines. Returns the folder of an offline one."""
    if wandb.run is None:
        return None
    folder = wandb.run.settings.sync_dir if wandb.run.offline else None
    wandb.finish()
    return folder


def _wandb_loggers(loggers: Any) -> list[Any]:
    """Those of the trainer's loggers, as configured, that are W&B's."""
    return [one for one in loggers if one.class_path.endswith("WandbLogger")] if isinstance(loggers, list) else []


def _runs(trainer: lightning.Trainer) -> list[Any]:
    """The W&B runs of the trainer's loggers (on rank 0; there are none elsewhere)."""
    if not trainer.is_global_zero:
        return []
    return [logger.experiment for logger in trainer.loggers if isinstance(logger, WandbLogger)]

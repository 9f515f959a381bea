"""What a resumed run takes from its checkpoint, and what from the settings it is given now."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import lightning
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from fold.checkpoint import KEY, Description
from fold.errors import FoldError
from fold.registry import pack_fields

FOUND = (
    "best",
    "num_bad_epochs",
    "cooldown_counter",
    "last_epoch",
    "_last_lr",
)  # by a schedule that waits for a plateau


def check_fits(description: Description, checkpoint: dict[str, Any]) -> None:
    """Raises FoldError, naming what differs, if the weights of a checkpoint do not fit the model.

    The path space may differ: the same weights unfold along other paths.
    """
    if KEY not in checkpoint:
        raise FoldError("the checkpoint holds no description of a model; expected one written by `fold fit`")
    held = Description.from_dict(checkpoint[KEY])
    if type(held.architecture) is not type(description.architecture):
        kinds = type(held.architecture).__name__, type(description.architecture).__name__
        raise FoldError(f"the checkpoint holds a {kinds[0]}, not a {kinds[1]}")
    now, before = pack_fields(description.architecture), pack_fields(held.architecture)
    for name in (name for name in now if now[name] != before[name] and name not in held.architecture.CHANGEABLE):
        raise FoldError(f"the checkpoint was trained with model.network.{name}={before[name]}, not {now[name]}")
    if held.units.to_dict() != description.units.to_dict():
        raise FoldError(f"the checkpoint has other units ({len(held.units)}) than {description.shards}")
    if held.sample_rate != description.sample_rate:
        raise FoldError(f"the checkpoint takes audio at {held.sample_rate} Hz, not {description.sample_rate}")


def check_places(groups: Sequence[dict[str, Any]], checkpoint: dict[str, Any]) -> None:
    """Raises FoldError if a checkpoint's state of the optimizer would become that of other weights: it goes by their
    places among the groups. groups: of the optimizer now, as `parameter_groups` gives them."""
    now = [[name for name, _ in group["params"]] for group in groups]
    for state in checkpoint.get("optimizer_states", ()):
        held = [group.get("param_names") for group in state["param_groups"]]
        if None not in held and held != now:
            raise FoldError(
                "the checkpoint's optimizer has other weights, or has them in other groups: give model.learning_rates "
                "the same parts in the same order (the rates may change), or begin a new run with --init_from"
            )


def move_to(checkpoint: dict[str, Any], step: int, accumulate: int) -> None:
    """Edits Lightning's progress, which counts batches, where another number of them makes an update than before.

    step: updates done in the epoch at hand; accumulate: batches of an update from now on.
    """
    progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
    # At the end of a batch, where most checkpoints are saved, Lightning has yet to count it as completed.
    uncounted = progress["total"]["processed"] - progress["total"]["completed"]
    for counts, updates in (("current", step), ("total", checkpoint["global_step"])):
        batches = updates * accumulate
        progress[counts].update(ready=batches, started=batches, processed=batches, completed=batches - uncounted)


def set_validation(checkpoint: dict[str, Any], ahead: bool) -> None:
    """Edits Lightning's progress: whoever resumes begins with a validation (`ahead`), or with training."""
    progress = checkpoint["loops"]["fit_loop"]["epoch_loop.val_loop.batch_progress"]
    for counts in (progress["total"], progress["current"]):
        # Lightning runs a validation again that was saved during a batch: one that was started, but not processed.
        done = counts["completed"]
        counts.update(ready=done + ahead, started=done + ahead, processed=done)


def refresh_schedule(trainer: lightning.Trainer, fresh: Optimizer, scheduler: LRScheduler | ReduceLROnPlateau) -> None:
    """Replaces what the optimizer and the schedule restored by the settings given now, at the step restored.

    fresh, scheduler: new ones, of the settings given now. Raises FoldError if the schedule ends before that step.
    """
    [optimizer], [config] = trainer.optimizers, trainer.lr_scheduler_configs
    if isinstance(scheduler, ReduceLROnPlateau):
        held = config.scheduler.state_dict()
        config.scheduler.load_state_dict(scheduler.state_dict() | {name: held[name] for name in FOUND})
        _take_settings(optimizer, fresh, but="lr")  # which the schedule has lowered
        return
    steps = config.scheduler.last_epoch
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # there is no optimizer step between these
        try:
            for _ in range(steps):
                scheduler.step()
        except ValueError as error:
            raise FoldError(f"the checkpoint is at step {steps}, which the schedule does not reach: {error}") from None
    _take_settings(optimizer, fresh)
    config.scheduler.load_state_dict(scheduler.state_dict())


def _take_settings(optimizer: Optimizer, fresh: Optimizer, but: str | None = None) -> None:
    for group, given in zip(optimizer.param_groups, fresh.param_groups, strict=True):
        group.update({name: value for name, value in given.items() if name not in ("params", but)})

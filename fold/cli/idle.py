"""Settings that would do nothing are refused: who sets them expects them to do something."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from fold.errors import FoldError

TUNER = "changes a setting that models here have not; try values of {} in runs of their own"
CALLBACKS = {  # of Lightning: why they would not do what they promise
    "LearningRateFinder": TUNER.format("model.optimizer.lr"),
    "BatchSizeFinder": TUNER.format("data.batch_seconds"),
    "StochasticWeightAveraging": "counts epochs, which training here does not; fold.training.callbacks.WeightAverage "
    "averages weights",
}
ERRORS = ("val/wer", "val/cer", "val/loss")  # metrics of which less is better
PEAKS = {"OneCycleLR": "max_lr", "CyclicLR": "base_lr"}  # schedules that put their own rate in the optimizer's place


def check_effective(config: Any) -> None:
    """Raises FoldError for the settings of a training that would be ignored, or that no model here can be trained with.
    config: all of them, resolved."""
    if config.model.optimizer.class_path.endswith("SparseAdam"):
        raise FoldError("model.optimizer is SparseAdam, which takes sparse gradients: models here have none; try AdamW")
    _check_rates(config.model.optimizer, config.model.lr_scheduler)
    _check_momentum(config.model.optimizer, config.model.lr_scheduler)
    _check_kept(config.checkpoint)
    trainer = config.trainer
    _check_callbacks(trainer.callbacks)
    if trainer.gradient_clip_algorithm not in (None, "norm"):
        raise FoldError(
            f"trainer.gradient_clip_algorithm is {trainer.gradient_clip_algorithm}, which would do nothing: gradients "
            "are clipped by their global norm; leave it out"
        )
    if trainer.gradient_clip_val is not None and not trainer.gradient_clip_val >= 0:
        raise FoldError(f"trainer.gradient_clip_val is {trainer.gradient_clip_val}: expected 0 (no clipping) or more")
    if trainer.limit_train_batches == 0:
        raise FoldError("trainer.limit_train_batches is 0: nothing would be trained; `fold test` only evaluates")
    interval = trainer.val_check_interval
    if isinstance(interval, int | float) and not interval > 0:
        raise FoldError(
            f"trainer.val_check_interval is {interval}: expected 1 or more updates, or a share of an epoch (0.5); "
            "trainer.limit_val_batches=0 trains without validation"
        )
    if trainer.default_root_dir != config.run_dir:
        raise FoldError(
            f"trainer.default_root_dir is {trainer.default_root_dir}, which would do nothing: a run's files go to its "
            "run_dir; leave it out"
        )
    if trainer.overfit_batches:
        raise FoldError(
            f"trainer.overfit_batches is {trainer.overfit_batches}, which would do nothing: batches are planned anew "
            "in each epoch; for a few utterances give a corpus that has no others"
        )
    if trainer.use_distributed_sampler:
        raise FoldError(
            "trainer.use_distributed_sampler is true, which would do nothing: the data share batches out over ranks; "
            "leave it out"
        )


def _check_kept(checkpoint: Any) -> None:
    """Raises FoldError if another checkpoint than the best would be kept: the worst, or of several with one name the
    last."""
    if checkpoint.save_last is not None:
        raise FoldError(
            f"checkpoint.save_last is {checkpoint.save_last}, which would do nothing: a run always writes last.ckpt, "
            "and keeps the one before as last-1.ckpt; leave it out"
        )
    if checkpoint.mode == "max" and str(checkpoint.monitor).startswith(ERRORS):
        raise FoldError(
            f"checkpoint.mode is max, which would keep the worst checkpoint: of {checkpoint.monitor} less is better; "
            "leave it out"
        )
    one_name = "{" not in (checkpoint.filename or "{") and not checkpoint.enable_version_counter
    if one_name and checkpoint.save_top_k not in (0, 1):
        raise FoldError(
            f"checkpoint.save_top_k is {checkpoint.save_top_k}, but all would be called {checkpoint.filename}: give "
            f"them names that differ, checkpoint.filename='{checkpoint.filename}-{{step}}'"
        )


def _check_callbacks(callbacks: Any) -> None:
    given = callbacks if isinstance(callbacks, list) else [callbacks] if callbacks else []
    for name in (callback.class_path.rpartition(".")[2] for callback in given):
        if name in CALLBACKS:
            raise FoldError(f"trainer.callbacks: {name} {CALLBACKS[name]}")


def _check_rates(optimizer: Any, lr_scheduler: Any) -> None:
    peak = PEAKS.get(lr_scheduler.class_path.rpartition(".")[2])
    if peak is None:
        return
    rate, ruling = optimizer.init_args.get("lr"), lr_scheduler.init_args.get(peak)
    if rate != ruling:
        raise FoldError(
            f"model.optimizer.lr is {rate}, which would do nothing beside model.lr_scheduler.{peak}, {ruling}: give "
            f'both the same value, or {peak}: "${{model.optimizer.init_args.lr}}"'
        )


def _check_momentum(optimizer: Any, lr_scheduler: Any) -> None:
    """Raises FoldError for a momentum that a schedule which cycles it would overwrite at once. A default of the
    optimizer's class was not asked for, and may be overwritten."""
    cycled = lr_scheduler.init_args
    if lr_scheduler.class_path.rpartition(".")[2] not in PEAKS or not cycled.get("cycle_momentum"):
        return
    name = "betas" if "betas" in optimizer.init_args else "momentum"  # as these schedules choose
    given = optimizer.init_args.get(name)
    if given is None or _listed(given) == _listed(_default(optimizer.class_path, name)):
        return
    [momentum, *others], [ruling, *_] = _listed(given), _listed(cycled.max_momentum)
    if momentum != ruling:
        shown, right = ([first, *others] if others else first for first in (momentum, ruling))
        raise FoldError(
            f"model.optimizer.{name} is {shown}, of which {momentum} would do nothing beside model.lr_scheduler, which "
            f"cycles it from max_momentum, {ruling}: give {right}, or model.lr_scheduler.cycle_momentum=false"
        )


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _default(path: str, name: str) -> Any:
    """Of a setting of a class that was imported before."""
    module, _, kind = path.rpartition(".")
    return inspect.signature(getattr(importlib.import_module(module), kind)).parameters[name].default

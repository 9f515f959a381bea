"""What an update is: how many batches make it, and that all intervals of a training count updates."""

from __future__ import annotations

import lightning
from lightning.pytorch.callbacks import Timer

from fold.data.datamodule import SpeechData
from fold.errors import FoldError
from fold.training.parts import callbacks_of

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


def check_precision(trainer: lightning.Trainer) -> None:
    """Raises FoldError for a precision in which weights are not kept in 32 bits."""
    if trainer.precision not in PRECISIONS:
        raise FoldError(
            f"trainer.precision is {trainer.precision}, but weights and filterbanks are in 32 bits here (16 lose small "
            f"updates); expected one of {', '.join(PRECISIONS)}"
        )


def check_length(trainer: lightning.Trainer) -> None:
    """Raises FoldError if nothing tells how many updates there will be: paths would never grow, nor terms set in."""
    timed = any(isinstance(callback, Timer) for callback in callbacks_of(trainer))
    endless = trainer.max_epochs == -1 or (timed and trainer.max_epochs is None)
    if trainer.max_steps < 0 and endless:
        raise FoldError(
            "trainer.max_steps is -1 and there is no trainer.max_epochs: give one of them, as paths grow and terms set "
            "in after shares of all updates; trainer.max_time may end training earlier"
        )


def check_tested(trainer: lightning.Trainer, data: SpeechData) -> None:
    """Raises FoldError if the test that follows a training would have no batch, before the training is done."""
    share = trainer.limit_test_batches
    if isinstance(share, float) and 0 < share < 1 and share * (batches := len(data.test_dataloader())) < 1:
        raise FoldError(
            f"trainer.limit_test_batches is {share}, less than one batch of the test after the training, which has "
            f"{batches}: expected a number of batches, such as 1, or a greater share"
        )


def count_in_updates(trainer: lightning.Trainer, data: SpeechData) -> None:
    """Has each rank accumulate the batches that make up `data.update_seconds`, and turns the trainer's intervals, which
    count updates here, into the batches that Lightning counts: a setting means the same on any number of devices.

    Raises FoldError for settings that contradict each other, or would end or validate within an update.
    """
    if trainer.accumulate_grad_batches < 1:
        raise FoldError(f"trainer.accumulate_grad_batches is {trainer.accumulate_grad_batches}: expected 1 or more")
    accumulate = data.accumulation(trainer.world_size)
    if accumulate is not None:
        if trainer.accumulate_grad_batches != 1:
            raise FoldError(
                f"trainer.accumulate_grad_batches is {trainer.accumulate_grad_batches}, but follows from "
                f"data.update_seconds ({data.update_seconds:g}): give one of the two"
            )
        trainer.accumulate_grad_batches = accumulate
    for name in ("val_check_interval", "limit_train_batches"):
        interval = getattr(trainer, name, "a time")
        if isinstance(interval, int):
            setattr(trainer, name, interval * trainer.accumulate_grad_batches)
        elif interval != 1.0 and trainer.accumulate_grad_batches > 1:  # the end of an epoch ends an update
            raise FoldError(f"trainer.{name} is {interval}: where batches accumulate it must be a number of updates")

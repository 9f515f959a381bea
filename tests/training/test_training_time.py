"""What of a run counts as training, and that a resumed run goes on counting."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch.plugins import Precision

from fold.checkpoint import TRAINING
from fold.report.record import Training
from fold.training.callbacks import training_time
from fold.training.callbacks.training_time import TrainingTime


class Clock:
    """Seconds that pass when the test says so; a processor that works half of the time."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def process_time(self) -> float:
        return self.now / 2


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(training_time, "time", clock)
    return clock


def make_trainer(updates: int) -> Any:
    """As much of a Trainer as the callback asks."""
    index = SimpleNamespace(splits={"train": SimpleNamespace(fingerprint="abc")})
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    return SimpleNamespace(
        global_step=updates,
        world_size=2,
        strategy=strategy,
        datamodule=SimpleNamespace(index=index),
        precision_plugin=Precision(),
    )


def saved(callback: TrainingTime, updates: int) -> dict[str, Any]:
    checkpoint: dict[str, Any] = {}
    callback.on_save_checkpoint(make_trainer(updates), None, checkpoint)
    return checkpoint


def test_validation_is_no_training_and_a_resumed_run_adds_to_what_was(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = TrainingTime()
    first.on_train_start()
    clock.now += 36
    first.on_validation_start()
    clock.now += 1000
    first.on_train_batch_start()
    clock.now += 36
    checkpoint = saved(first, 5)
    took = checkpoint[TRAINING]
    assert (took["updates"], took["processes"], took["data"]) == (5, 2, "abc")
    assert (took["hours"], took["cpu_hours"]) == pytest.approx((0.02, 0.01))
    clock.now += 36  # goes on after the checkpoint, but is killed

    monkeypatch.setattr(training_time, "device_name", lambda device: "another machine")
    second = TrainingTime()
    second.on_load_checkpoint(make_trainer(5), None, checkpoint)
    clock.now += 1000
    second.on_train_start()
    clock.now += 36
    second.on_train_end()
    clock.now += 1000
    whole = second.training(make_trainer(9))
    assert (whole.updates, whole.device) == (9, f"{took['device']} + another machine")
    assert (whole.hours, whole.cpu_hours) == pytest.approx((0.03, 0.015))


def test_an_evaluation_alone_tells_what_the_checkpoint_took(clock: Clock) -> None:
    trained = TrainingTime()
    trained.on_train_start()
    clock.now += 36
    checkpoint = saved(trained, 5)
    evaluating = TrainingTime()
    assert evaluating.training(make_trainer(5)) is None
    evaluating.on_load_checkpoint(make_trainer(5), None, checkpoint)
    evaluating.on_validation_start()
    clock.now += 36
    assert evaluating.training(make_trainer(0)) == Training(**checkpoint[TRAINING])

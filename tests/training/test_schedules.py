"""Learning-rate schedules."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.optim.lr_scheduler import LRScheduler

from fold.errors import FoldError
from fold.training.schedules import TriStage, WarmupInverseSqrt


def test_warmup_then_inverse_square_root() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    schedule = WarmupInverseSqrt(optimizer, warmup_steps=4)
    rates = []
    for _ in range(16):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[:4] == pytest.approx([0.5, 1.0, 1.5, 2.0])  # linear, up to the optimizer's rate
    assert max(rates) == rates[3]
    assert rates[15] == pytest.approx(2.0 * (4 / 16) ** 0.5)


def test_three_stages() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    schedule = TriStage(optimizer, total_steps=100, warmup=0.1, hold=0.4, initial=0.01, final=0.05)
    rates = []
    for _ in range(102):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[0] == pytest.approx(0.02)
    assert rates[5] == pytest.approx(2.0 * (0.01 + 0.99 * 0.5))
    assert set(rates[10:50]) == {2.0}
    decay = [after / before for before, after in itertools.pairwise(rates[50:101])]
    assert decay == pytest.approx([0.05 ** (1 / 50)] * 50)  # exponential
    assert rates[100] == rates[101] == pytest.approx(0.1)


@pytest.mark.parametrize(
    "make",
    [
        lambda optimizer: WarmupInverseSqrt(optimizer, warmup_steps=0),
        lambda optimizer: WarmupInverseSqrt(optimizer, warmup_steps=-5),
        lambda optimizer: TriStage(optimizer, total_steps=100, final=0.0),  # the rate would be 0 once it decays
        lambda optimizer: TriStage(optimizer, total_steps=100, warmup=1.5),
        lambda optimizer: TriStage(optimizer, total_steps=100, hold=-0.1),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(make: Callable[[torch.optim.Optimizer], LRScheduler]) -> None:
    with pytest.raises(FoldError, match=r"model\.lr_scheduler: warmup"):
        make(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0))


def test_state_is_plain_and_read_back(tmp_path: Path) -> None:
    def schedule() -> WarmupInverseSqrt:
        return WarmupInverseSqrt(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0), warmup_steps=4)

    saved, resumed = schedule(), schedule()
    for _ in range(6):
        saved.optimizer.step()
        saved.step()
    torch.save(saved.state_dict(), tmp_path / "state")
    resumed.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    for scheduler in (saved, resumed):
        scheduler.optimizer.step()
        scheduler.step()
    assert resumed.get_last_lr() == saved.get_last_lr()

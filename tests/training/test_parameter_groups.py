"""Parts of a model with learning rates of their own, from settings to the update."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import Finished
from models.foundation.directories import SHAPE
from torch.optim import SGD
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR

from fold.errors import FoldError
from fold.models import Foundation, Recogniser
from fold.training.parameter_groups import RATE, apply_rates, check_kept, parameter_groups
from fold.training.schedules import TriStage

RATES = {"ctc_head": 10.0, "stem": 0.5, "stem.mask": 4.0}


@pytest.fixture(scope="module")
def model() -> Recogniser:
    return Foundation(shape=SHAPE).build(6, 16000)


def optimizer_of(model: Recogniser, rates: dict[str, float]) -> SGD:
    optimizer = SGD(parameter_groups(model, rates), lr=0.1)
    apply_rates(optimizer)
    return optimizer


def test_an_update_moves_each_part_at_its_rate(model: Recogniser) -> None:
    optimizer = optimizer_of(model, RATES)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    schedule = TriStage(optimizer, total_steps=10, warmup=0.0)
    check_kept(optimizer, schedule)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    for name, parameter in model.named_parameters():
        part = max((part for part in RATES if name.startswith(part)), key=len, default="")
        rate = RATES.get(part, 1.0) if parameter.requires_grad else 0.0
        assert torch.allclose(before[name] - parameter, torch.full_like(parameter, 0.1 * rate), atol=1e-5), name


def test_without_rates_there_is_one_group_of_all_that_learns(model: Recogniser) -> None:
    [group] = parameter_groups(model, {})
    assert group[RATE] == 1.0
    assert [id(p) for _, p in group["params"]] == [id(p) for p in model.parameters() if p.requires_grad]


@pytest.mark.parametrize(
    ("rates", "named"),
    [
        ({"head": 2.0}, "no parameter's name begins with 'head'; the parts are ctc_head, stem, unfolding"),
        ({"ctc": 2.0}, "begins with 'ctc'"),
        ({"ctc_head": 0.0}, "ctc_head is 0.0; expected a positive multiple"),
    ],
)
def test_rates_that_mean_nothing(model: Recogniser, rates: dict[str, float], named: str) -> None:
    with pytest.raises(FoldError) as raised:
        parameter_groups(model, rates)
    assert named in str(raised.value) and "model.learning_rates" in str(raised.value)


def one_cycle(optimizer: SGD) -> LRScheduler:
    return OneCycleLR(optimizer, max_lr=0.1, total_steps=10)


def test_a_schedule_that_levels_the_rates_is_refused(model: Recogniser) -> None:
    optimizer = optimizer_of(model, {"ctc_head": 3.0})
    with pytest.raises(FoldError, match=r"OneCycleLR sets one learning rate for all parts"):
        check_kept(optimizer, one_cycle(optimizer))
    alike = optimizer_of(model, {})
    check_kept(alike, one_cycle(alike))


def test_a_setting_of_a_run_that_goes_on(tones_config: Path, fold_command: Callable[..., Finished]) -> None:
    schedule = (
        "--model.lr_scheduler=fold.training.schedules.TriStage",
        "--model.lr_scheduler.total_steps=4",
        "--model.learning_rates={ctc_head: 5.0}",
        "--checkpoint.every_minutes=0",
    )
    common = ("fit", f"--config={tones_config}", *schedule)
    for name, steps in (("whole", (2,)), ("parts", (1, 2))):
        for done, step in enumerate(steps):
            resumed = ("--ckpt_path=runs/parts/checkpoints/last.ckpt",) if done else ()
            fold_command(*common, f"--trainer.max_steps={step}", f"--run_dir=runs/{name}", *resumed)
    whole, parts = (torch.load(Path("runs") / name / "checkpoints" / "last.ckpt") for name in ("whole", "parts"))
    rates = [group["lr"] for group in whole["optimizer_states"][0]["param_groups"]]
    assert len(rates) == 2 and rates[1] == pytest.approx(5 * rates[0])
    assert all(torch.equal(whole["state_dict"][name], parts["state_dict"][name]) for name in whole["state_dict"])

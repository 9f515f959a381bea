"""Learning rates of their own for parts of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from fold.errors import FoldError

RATE = "rate"  # in a group of an optimizer: its share of the learning rate


def parameter_groups(module: nn.Module, rates: Mapping[str, float]) -> list[dict[str, Any]]:
    """The parameters of a module that learn, with their names, as an optimizer takes them: those without a rate of
    their own, then a group for each rate, with the rate under `RATE`.

    rates: multiples of the learning rate by how the names of the model's parameters begin, such as `ctc_head` or
    `stem.mask`; where several fit, the longest counts.
    Raises FoldError if a rate is not positive, or if no parameter has such a name.
    """
    groups: dict[str, list[tuple[str, nn.Parameter]]] = {"": [], **{part: [] for part in rates}}
    found: set[str] = set()
    named = {name.removeprefix("model."): parameter for name, parameter in module.named_parameters()}
    for name, parameter in named.items():
        fitting = [part for part in rates if f"{name}.".startswith(f"{part}.")]
        found.update(fitting)
        if parameter.requires_grad:
            groups[max(fitting, key=len, default="")].append((name, parameter))
    for part, rate in rates.items():
        if rate <= 0:
            raise FoldError(
                f"model.learning_rates: {part} is {rate}; expected a positive multiple of the learning rate"
            )
        if part not in found:
            parts = ", ".join(sorted({name.split(".")[0] for name in named}))
            raise FoldError(f"model.learning_rates: no parameter's name begins with '{part}'; the parts are {parts}")
    all_rates = {"": 1.0, **rates}
    return [{"params": group, RATE: all_rates[part]} for part, group in groups.items() if group]


def apply_rates(optimizer: Optimizer) -> None:
    """Gives each group its multiple of the learning rate: before a schedule takes it for its peak."""
    for group in optimizer.param_groups:
        group["lr"] = group["lr"] * group.get(RATE, 1.0)


def check_kept(optimizer: Optimizer, schedule: LRScheduler | ReduceLROnPlateau) -> None:
    """Raises FoldError if a schedule sets one learning rate for all groups."""
    first, *others = optimizer.param_groups
    for group in others:
        kept = group["lr"] * first.get(RATE, 1.0)
        wanted = first["lr"] * group.get(RATE, 1.0)
        if abs(kept - wanted) > 1e-6 * abs(wanted):
            raise FoldError(
                f"model.learning_rates: {type(schedule).__name__} sets one learning rate for all parts; take a "
                "schedule that multiplies theirs, such as fold.training.schedules.TriStage"
            )

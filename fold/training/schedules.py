"""When learning-rate schedules go on, and schedules that PyTorch does not ship, which go on with each update."""

from collections.abc import Collection, Sequence
from typing import Literal

from lightning.pytorch.utilities.types import LRSchedulerConfig, LRSchedulerConfigType
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau

from fold.errors import FoldError

Interval = Literal["step", "epoch"]
PLATEAU = "val/loss"  # what a plateau is looked for in, unless a schedule names another metric


def schedule_config(scheduler: LRScheduler | ReduceLROnPlateau, interval: Interval) -> LRSchedulerConfigType:
    """A schedule as Lightning takes it. One that waits for a plateau is asked each update (see
    `FoldableASR.lr_scheduler_step`), as its metric need not be there before the first validation."""
    if isinstance(scheduler, ReduceLROnPlateau):
        monitor = getattr(scheduler, "monitor", PLATEAU)
        return {"scheduler": scheduler, "interval": "step", "name": "lr", "monitor": monitor, "strict": False}
    return {"scheduler": scheduler, "interval": interval, "name": "lr"}


def check_monitored(schedules: Sequence[LRSchedulerConfig], metrics: Collection[str]) -> None:
    """Raises FoldError if a schedule waits for a plateau of a metric that a validation, now over, has not given."""
    for schedule in schedules:
        if schedule.reduce_on_plateau and schedule.monitor not in metrics:
            there = ", ".join(sorted(name for name in metrics if name.startswith("val/")))
            raise FoldError(f"model.lr_scheduler: no metric is called {schedule.monitor}; there are {there}")


class WarmupInverseSqrt(LambdaLR):
    """Linear warm-up to the optimizer's learning rate, then decay with 1 / sqrt(step): the "Noam" schedule
    (Vaswani et al., 2017, section 5.3) with its peak stated outright.

    Args:
        optimizer: Whose learning rate is the peak.
        warmup_steps: Optimizer steps until the peak.

    Raises:
        FoldError: There is no step until the peak.
    """

    def __init__(self, optimizer: Optimizer, warmup_steps: int) -> None:
        if warmup_steps < 1:
            raise FoldError(f"model.lr_scheduler: warmup_steps is {warmup_steps}: expected 1 or more")
        self.warmup_steps = warmup_steps
        super().__init__(optimizer, self.factor)

    def factor(self, step: int) -> float:
        """Share of the peak learning rate at `step`, counted from 0."""
        decay: float = (self.warmup_steps / (step + 1)) ** 0.5
        return min((step + 1) / self.warmup_steps, decay)


class TriStage(LambdaLR):
    """Linear warm-up, plateau, exponential decay: how wav2vec 2.0 is fine-tuned (Baevski et al., 2020, appendix B).

    Args:
        optimizer: Whose learning rate is the peak.
        total_steps: Optimizer steps of the whole training.
        warmup: Share of the steps until the peak.
        hold: Share of the steps at the peak; the rest decays.
        initial: Share of the peak rate that training begins with.
        final: Share of the peak rate that training ends with.

    Raises:
        FoldError: A share is out of range; `final` is 0, which no exponential decay reaches.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        total_steps: int,
        warmup: float = 0.1,
        hold: float = 0.4,
        initial: float = 0.01,
        final: float = 0.05,
    ) -> None:
        if min(warmup, hold, initial) < 0 or warmup + hold > 1 or final <= 0:
            raise FoldError(
                f"model.lr_scheduler: warmup {warmup}, hold {hold}, initial {initial}, final {final}: expected shares "
                "from 0, final above 0, warmup and hold at most 1 together"
            )
        self.total_steps, self.warmup, self.hold = max(total_steps, 1), warmup, hold
        self.initial, self.final = initial, final
        super().__init__(optimizer, self.factor)

    def factor(self, step: int) -> float:
        """Share of the peak learning rate at `step`, counted from 0."""
        progress = step / self.total_steps
        if progress < self.warmup:
            return self.initial + (1 - self.initial) * progress / self.warmup
        decayed = (progress - self.warmup - self.hold) / max(1 - self.warmup - self.hold, 1e-9)
        share: float = self.final ** min(max(decayed, 0.0), 1.0)
        return share

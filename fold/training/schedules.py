"""Learning-rate schedules that PyTorch does not ship. A scheduler steps once an optimizer step."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


class WarmupInverseSqrt(LambdaLR):
    """Linear warm-up to the optimizer's learning rate, then decay with 1 / sqrt(step): the "Noam" schedule
    (Vaswani et al., 2017, section 5.3) with its peak stated outright.

    warmup_steps: optimizer steps until the peak.
    """

    def __init__(self, optimizer: Optimizer, warmup_steps: int) -> None:
        self.warmup_steps = warmup_steps
        super().__init__(optimizer, self.factor)

    def factor(self, step: int) -> float:
        """Share of the peak learning rate at `step`, counted from 0."""
        return min((step + 1) / self.warmup_steps, (self.warmup_steps / (step + 1)) ** 0.5)

"""Updates whose gradient is not finite: skipped on the device, counted, and too many in a row end the training."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from fold.errors import FoldError

MOST_IN_A_ROW = 20  # a scale for fp16 that starts too high halves itself 16 times, each at the cost of an update
LOOK_EVERY = 10  # updates between two looks at the count, for which the host waits for the device


class FiniteUpdates:
    """Clips gradients and lets an optimizer skip the updates that would put NaN or infinity into the weights.

    skipped: updates skipped so far, a scalar tensor on the device of the gradients (None before the first).
    """

    def __init__(self) -> None:
        self.skipped: Tensor | None = None
        self._in_a_row: Tensor | None = None
        self._seen = 0

    def clip(self, parameters: Iterable[nn.Parameter], optimizer: Optimizer, max_norm: float | None) -> Tensor:
        """Scales gradients down to a global 2-norm of `max_norm` (None: never), and has `optimizer` skip its next step
        if that norm is not finite. Returns the norm before, a scalar tensor.

        Raises FoldError after MOST_IN_A_ROW skipped updates in a row, found at every LOOK_EVERYth update.
        """
        parameters = list(parameters)
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if max_norm:
            torch.nn.utils.clip_grads_with_norm_(parameters, max_norm, norm)
        finite = norm.isfinite()
        self._count(~finite)
        skip_unless(finite, optimizer)
        return norm

    def _count(self, bad: Tensor) -> None:
        if self.skipped is None or self._in_a_row is None:
            self.skipped = self._in_a_row = torch.zeros_like(bad, dtype=torch.long)
        self.skipped = self.skipped + bad
        self._in_a_row = (self._in_a_row + 1) * bad
        self._seen += 1
        if self._seen % LOOK_EVERY == 0 and self._in_a_row >= MOST_IN_A_ROW:
            raise FoldError(
                f"the gradients of {int(self._in_a_row)} updates in a row were not finite: training has diverged; "
                "try a lower learning rate or, with precision 16-mixed, bf16-mixed. Nothing of these updates was "
                "saved: last.ckpt is from before"
            )


def skip_unless(finite: Tensor, optimizer: Optimizer) -> None:
    """Makes the next step of an optimizer do nothing unless `finite`, a scalar, holds.

    Fused optimizers find out on the device, through what they have for scaled gradients; others have their gradients
    taken away, for which the host waits.
    """
    if getattr(optimizer, "_step_supports_amp_scaling", False):
        optimizer.grad_scale = None  # type: ignore[attr-defined]  # fused ones read both, and declare neither
        optimizer.found_inf = (~finite).float()  # type: ignore[attr-defined]  # as above
    elif not finite:
        optimizer.zero_grad()

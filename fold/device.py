"""Where a command computes."""

from __future__ import annotations

import torch

from fold.errors import FoldError


def choose_device(name: str | None) -> torch.device:
    """The device called `name`; without a name an accelerator if there is one, else the CPU.

    Raises FoldError if there is no such device.
    """
    if name is None:
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise FoldError(f"device '{name}' cannot be used: {str(error).splitlines()[0]}") from None

"""The one length mask that every layer and loss uses."""

from __future__ import annotations

import torch
from torch import Tensor


def length_mask(lengths: Tensor, max_length: int, device: torch.device | None = None) -> Tensor:
    """True at positions before each length.

    lengths: (batch,) integers; device: where the mask is wanted (None: where the lengths are). Lengths on the CPU
    reach another device without anybody waiting for it.
    Returns (batch, max_length) bool.
    """
    lengths = lengths.to(device or lengths.device, non_blocking=True)
    return torch.arange(max_length, device=lengths.device) < lengths[:, None]

"""The one length mask that every layer and loss uses."""

import torch
from torch import Tensor


def length_mask(lengths: Tensor, max_length: int) -> Tensor:
    """True at positions before each length.

    lengths: (batch,) integers. Returns (batch, max_length) bool on the device of `lengths`.
    """
    return torch.arange(max_length, device=lengths.device) < lengths[:, None]

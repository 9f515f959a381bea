"""Convolutions over time: the depthwise one, and the Conformer's module around it (Gulati et al., 2020, 2005.08100)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fold.modules.norms import ConvNorm, conv_norm


class DepthwiseConv(nn.Conv1d):
    """A convolution over time, each channel by itself: (batch, time, dim) to the same shape.

    Padded frames must be zero: it then sees what an unpadded utterance has at its edges.
    """

    bias: nn.Parameter  # never None, as it may be in nn.Conv1d

    def __init__(self, dim: int, kernel_size: int) -> None:
        reach = (kernel_size - 1) // 2
        super().__init__(dim, dim, kernel_size, padding=reach, groups=dim)
        self.reach = reach  # frames seen on either side

    def forward(self, x: Tensor) -> Tensor:
        # As a 2-d convolution of height 1: its channels-last kernels read (batch, time, dim) as it lies in memory.
        # In fp32 on CPUs: in bf16 oneDNN (3.12, of PyTorch 2.14) never returns for some shapes on some processors.
        image = x.float() if x.device.type == "cpu" and x.dtype.itemsize == 2 else x
        with torch.autocast("cpu", enabled=False):
            convolved = nn.functional.conv2d(
                image.transpose(1, 2).unsqueeze(2),
                self.weight.unsqueeze(2),
                self.bias,
                padding=(0, self.reach),
                groups=self.groups,
            )
        return convolved.squeeze(2).transpose(1, 2)


class ConvolutionModule(nn.Module):
    """Pointwise convolution, GLU, depthwise convolution over time, norm, SiLU, pointwise convolution."""

    def __init__(self, dim: int, kernel_size: int, norm: ConvNorm) -> None:
        super().__init__()
        self.expand = nn.Linear(dim, 2 * dim)
        self.depthwise = DepthwiseConv(dim, kernel_size)
        self.norm = conv_norm(norm, dim)
        self.project = nn.Linear(dim, dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x: (batch, time, dim); mask: (batch, time). Returns x's shape."""
        x = nn.functional.glu(self.expand(x), dim=-1)
        x = self.depthwise(x * mask[:, :, None])
        projected: Tensor = self.project(nn.functional.silu(self.norm(x, mask)))
        return projected

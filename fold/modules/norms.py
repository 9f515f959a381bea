"""Normalisations of the convolution module, each exact under padding: padded frames never enter a statistic."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

ConvNorm = Literal["layer", "group", "batch"]


class _ScaledNorm(nn.Module):
    """A norm with a learned scale and shift of each channel, under the names of PyTorch's norms. Unlike these it is
    called as `norm(x, mask)`; x: (batch, time, channels); mask: (batch, time)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.eps = 1e-5  # added to variances
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))


class FrameLayerNorm(_ScaledNorm):
    """Normalises each frame by itself. x: (batch, time, channels)."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return nn.functional.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


class MaskedGroupNorm(_ScaledNorm):
    """Normalises each utterance by groups of channels, over its valid frames. x: (batch, time, channels)."""

    def __init__(self, num_groups: int, num_channels: int) -> None:
        super().__init__(num_channels)
        self.num_groups = num_groups

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        batch, time, channels = x.shape
        grouped = x.float().view(batch, time, self.num_groups, -1)
        valid = mask[:, :, None, None]
        count = mask.sum(1).clamp(min=1)[:, None, None, None] * (channels // self.num_groups)
        mean = (grouped * valid).sum((1, 3), keepdim=True) / count
        var = ((grouped - mean) * valid).square().sum((1, 3), keepdim=True) / count
        normed = ((grouped - mean) * torch.rsqrt(var + self.eps)).reshape(x.shape)
        return (normed * self.weight + self.bias).to(x.dtype)


class MaskedBatchNorm(_ScaledNorm):
    """Batch normalisation over the valid frames of a batch. x: (batch, time, channels).

    Its running statistics mix those of every repeat and path that shares the layer, which harms evaluation: the fault
    known from slimmable networks (Yu et al., 2019, arXiv 1812.08928).
    """

    MOMENTUM = 0.1  # share of a batch in the running statistics
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        if self.training:
            mean, var = self._batch_statistics(x.float(), mask)
        else:
            mean, var = self.running_mean, self.running_var
        normed = (x.float() - mean) * torch.rsqrt(var + self.eps)
        return (normed * self.weight + self.bias).to(x.dtype)

    def _batch_statistics(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        valid, count = mask[:, :, None], mask.sum()
        mean = (x * valid).sum((0, 1)) / count
        var = ((x - mean) * valid).square().sum((0, 1)) / count
        with torch.no_grad():
            unbiased = var * count / (count - 1).clamp(min=1)
            self.running_mean.lerp_(mean, self.MOMENTUM)
            self.running_var.lerp_(unbiased, self.MOMENTUM)
            self.num_batches_tracked += 1
        return mean, var


def conv_norm(kind: ConvNorm, channels: int) -> nn.Module:
    """The normalisation named `kind` for `channels` channels; called as `norm(x, mask)`."""
    if kind == "layer":
        return FrameLayerNorm(channels)
    if kind == "group":
        return MaskedGroupNorm(num_groups=8, num_channels=channels)
    return MaskedBatchNorm(channels)

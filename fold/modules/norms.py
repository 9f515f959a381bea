"""Normalisations of the convolution module, each exact under padding: padded frames never enter a statistic.

They are PyTorch's norms, so that whoever looks for these finds them, but are called as `norm(x, mask)`; mask: (batch,
time).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

ConvNorm = Literal["layer", "group", "batch"]


class FrameLayerNorm(nn.LayerNorm):
    """Normalises each frame by itself. x: (batch, time, channels)."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]  # the mask is the point
        return super().forward(x)


class MaskedGroupNorm(nn.GroupNorm):
    """Normalises each utterance by groups of channels, over its valid frames. x: (batch, time, channels)."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]  # the mask is the point
        batch, time, channels = x.shape
        grouped = x.float().view(batch, time, self.num_groups, -1)
        valid = mask[:, :, None, None]
        count = mask.sum(1).clamp(min=1)[:, None, None, None] * (channels // self.num_groups)
        mean = (grouped * valid).sum((1, 3), keepdim=True) / count
        var = ((grouped - mean) * valid).square().sum((1, 3), keepdim=True) / count
        normed = ((grouped - mean) * torch.rsqrt(var + self.eps)).reshape(x.shape)
        return (normed * self.weight + self.bias).to(x.dtype)


class MaskedBatchNorm(nn.BatchNorm1d):
    """Batch normalisation over the valid frames of a batch. x: (batch, time, channels).

    Its running statistics mix those of every repeat and path that shares the layer, which harms evaluation: the fault
    known from slimmable networks (Yu et al., 2019, arXiv 1812.08928).
    """

    momentum: float  # not None, which PyTorch's own may be, as none of these
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]  # the mask is the point
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
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(unbiased, self.momentum)
            self.num_batches_tracked += 1
        return mean, var


def conv_norm(kind: ConvNorm, channels: int) -> nn.Module:
    """The normalisation named `kind` for `channels` channels; called as `norm(x, mask)`."""
    if kind == "layer":
        return FrameLayerNorm(channels)
    if kind == "group":
        return MaskedGroupNorm(num_groups=8, num_channels=channels)
    return MaskedBatchNorm(channels)

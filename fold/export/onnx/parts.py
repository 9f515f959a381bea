"""Parts of models as runtimes compute them fastest: the same numbers up to rounding, of fewer and larger operators."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from fold.models.asr import Recogniser
from fold.modules.attention import RelativeSelfAttention, shift_relative


class ScaledSelfAttention(nn.Module):
    """`RelativeSelfAttention`, with the scale and the content bias in its weights, and one transposition for all three.

    original: the attention to equal.
    """

    def __init__(self, original: RelativeSelfAttention) -> None:
        super().__init__()
        dim, self.num_heads = original.output.in_features, original.num_heads
        scale = math.sqrt(self.num_heads / dim)
        content, position = original.content_bias.detach(), original.position_bias.detach()
        self.qkv, self.position, self.output = copy.deepcopy(original.qkv), original.position, original.output
        self.qkv.weight.data[:dim] *= scale
        self.qkv.bias.data[:dim] = (self.qkv.bias.data[:dim] + content.flatten()) * scale
        self.bias = nn.Parameter(((position - content) * scale)[:, None])  # of positions, beyond that of contents

    def forward(self, x: Tensor, mask: Tensor, positions: Tensor) -> Tensor:
        """x: (batch, time, dim); mask: (batch, time); positions: (2 * time, dim). Returns x's shape."""
        batch, time, dim = x.shape
        query, key, value = self.qkv(x).view(batch, time, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4).split(1)
        distance = self.position(positions).view(2 * time, self.num_heads, -1).permute(1, 2, 0)
        padding = torch.zeros_like(mask, dtype=x.dtype).masked_fill(~mask, torch.finfo(x.dtype).min)
        by_distance = shift_relative((query[0] + self.bias) @ distance)
        scores = query @ key.transpose(3, 4) + by_distance + padding[:, None, None, :]
        projected: Tensor = self.output((scores.softmax(-1) @ value).transpose(2, 3).reshape(batch, time, dim))
        return projected


def rewrite(model: Recogniser) -> Recogniser:
    """A copy of a model with such parts in it, which shares all weights that are the same."""
    model = copy.deepcopy(model, {id(weight): weight for weight in (*model.parameters(), *model.buffers())})
    for module in list(model.modules()):
        for name, part in list(module.named_children()):
            if write := PARTS.get(type(part)):
                setattr(module, name, write(part))
    return model


PARTS: dict[type[nn.Module], Callable[[Any], nn.Module]] = {RelativeSelfAttention: ScaledSelfAttention}

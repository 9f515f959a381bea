"""Self-attention with relative positions (Dai et al., 2019, arXiv 1901.02860), as Conformers use it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def sinusoids(positions: Tensor, dim: int) -> Tensor:
    """Sinusoidal encodings (Vaswani et al., 2017, section 3.5). positions: (time,). Returns (time, dim) fp32."""
    rates = torch.exp(torch.arange(0, dim, 2, device=positions.device) * (-math.log(10000.0) / dim))
    angles = positions.float()[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


def relative_positions(num_frames: int, dim: int, device: torch.device) -> Tensor:
    """Encodings of the distances num_frames - 1, ..., 0, ..., -num_frames: (2 * num_frames, dim).

    No two frames have the last distance: it makes the number even, which GPUs multiply faster."""
    return sinusoids(torch.arange(num_frames - 1, -num_frames - 1, -1, device=device), dim)


def shift_relative(scores: Tensor) -> Tensor:
    """Turns scores by distance into scores by key.

    scores: (batch, heads, time, 2 * time), last axis ordered as `relative_positions`.
    Returns (batch, heads, time, time), a view: [.., query, key] is the score of distance query - key.
    """
    batch, heads, time, distances = scores.shape
    # Distance query - key lies at time - 1 - query + key: each row begins one score earlier than the row above.
    strides = (heads * time * distances, time * distances, distances - 1, 1)
    return scores.contiguous().as_strided((batch, heads, time, time), strides, time - 1)


class RelativeSelfAttention(nn.Module):
    """Multi-head self-attention whose scores add a learned function of the distance between frames."""

    def __init__(self, dim: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.position = nn.Linear(dim, dim, bias=False)
        self.content_bias = nn.Parameter(torch.empty(num_heads, dim // num_heads))
        self.position_bias = nn.Parameter(torch.empty(num_heads, dim // num_heads))
        self.output = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)
        nn.init.xavier_uniform_(self.content_bias)
        nn.init.xavier_uniform_(self.position_bias)

    def forward(self, x: Tensor, mask: Tensor, positions: Tensor) -> Tensor:
        """x: (batch, time, dim); mask: (batch, time); positions: (2 * time, dim). Returns x's shape."""
        batch, time, dim = x.shape
        query, key, value = self.qkv(x).view(batch, time, 3, self.num_heads, -1).unbind(2)
        distance = self.position(positions).view(2 * time, self.num_heads, -1)
        scale = 1 / math.sqrt(dim // self.num_heads)
        by_content = ((query + self.content_bias) * scale).transpose(1, 2) @ key.permute(0, 2, 3, 1)
        by_distance = ((query + self.position_bias) * scale).transpose(1, 2) @ distance.permute(1, 2, 0)
        padding = torch.zeros_like(mask, dtype=x.dtype).masked_fill(~mask, torch.finfo(x.dtype).min)
        scores = by_content + shift_relative(by_distance) + padding[:, None, None, :]
        attended = self.dropout(scores.softmax(-1)) @ value.transpose(1, 2)
        projected: Tensor = self.output(attended.transpose(1, 2).reshape(batch, time, dim))
        return projected

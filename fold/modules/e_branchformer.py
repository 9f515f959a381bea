"""One E-Branchformer layer (Kim et al., 2022, arXiv 2210.00077)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fold.modules.attention import RelativeSelfAttention
from fold.modules.conformer import feed_forward
from fold.modules.convolution import DepthwiseConv


class ConvolutionalGatingMLP(nn.Module):
    """Expands, lets one half of the features, convolved over time, gate the other, and projects back
    (cgMLP: Sakuma et al., 2021, arXiv 2110.09890)."""

    def __init__(self, dim: int, inner_dim: int, kernel_size: int, dropout: float) -> None:
        super().__init__()
        self.expand = nn.Linear(dim, inner_dim)
        self.gate_norm = nn.LayerNorm(inner_dim // 2)
        self.gate_conv = DepthwiseConv(inner_dim // 2, kernel_size)
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(inner_dim // 2, dim)
        nn.init.normal_(self.gate_conv.weight, std=1e-6)  # so that the gate is 1 at first
        nn.init.ones_(self.gate_conv.bias)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x: (batch, time, dim); mask: (batch, time). Returns x's shape."""
        kept, gate = nn.functional.gelu(self.expand(x)).chunk(2, dim=-1)
        gate = self.gate_conv(self.gate_norm(gate) * mask[:, :, None])
        projected: Tensor = self.project(self.dropout(kept * gate))
        return projected


class EBranchformerLayer(nn.Module):
    """Macaron feed-forward; attention and cgMLP side by side, merged with a convolution over time; feed-forward."""

    def __init__(
        self,
        dim: int,
        num_heads: int,
        ffn_dim: int,
        cgmlp_dim: int,
        kernel_size: int,
        merge_kernel_size: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.macaron_norm, self.macaron = nn.LayerNorm(dim), feed_forward(dim, ffn_dim, dropout)
        self.attention_norm, self.attention = nn.LayerNorm(dim), RelativeSelfAttention(dim, num_heads, dropout)
        self.cgmlp_norm, self.cgmlp = nn.LayerNorm(dim), ConvolutionalGatingMLP(dim, cgmlp_dim, kernel_size, dropout)
        self.merge_conv = DepthwiseConv(2 * dim, merge_kernel_size)
        self.merge = nn.Linear(2 * dim, dim)
        self.feed_forward_norm, self.feed_forward = nn.LayerNorm(dim), feed_forward(dim, ffn_dim, dropout)
        self.final_norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor, positions: Tensor) -> Tensor:
        """x: (batch, time, dim); mask: (batch, time); positions: (2 * time, dim). Returns x's shape."""
        x = x + 0.5 * self.dropout(self.macaron(self.macaron_norm(x)))
        attended = self.dropout(self.attention(self.attention_norm(x), mask, positions))
        local = self.dropout(self.cgmlp(self.cgmlp_norm(x), mask))
        both = torch.cat([attended, local], dim=-1) * mask[:, :, None]
        x = x + self.dropout(self.merge(both + self.merge_conv(both)))
        x = x + 0.5 * self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        normed: Tensor = self.final_norm(x)
        return normed

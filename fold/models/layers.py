"""Kinds of encoder layers, of which one setting chooses: `model.network.layer`.

A new kind is a subclass of `LayerKind` in any module, named by that setting; a package offers it as an entry point of
the group `fold.layers`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import nn

from fold.errors import FoldError
from fold.modules.conformer import ConformerLayer
from fold.modules.e_branchformer import EBranchformerLayer
from fold.modules.norms import ConvNorm
from fold.registry import Registry


@dataclass(frozen=True)
class LayerShape:
    """What all kinds of layers take of a network's settings (see `fold.models.Conformer`)."""

    dim: int
    num_heads: int
    ffn_dim: int
    kernel_size: int
    dropout: float
    conv_norm: ConvNorm


class LayerKind(ABC):
    """The settings of a kind of layer. Subclasses are frozen dataclasses of plain values (they go into checkpoints)."""

    @abstractmethod
    def build(self, shape: LayerShape) -> nn.Module:
        """A layer with fresh weights, called as `layer(x, mask, positions)` and giving a tensor of x's shape.

        x: (batch, time, dim); mask: (batch, time), which frames are no padding; positions: (2 * time, dim), see
        `fold.modules.attention.relative_positions`. What padded frames hold must not change the others.
        Raises FoldError for a shape that cannot be built.
        """


@dataclass(frozen=True)
class ConformerLayers(LayerKind):
    """Conformer layers (Gulati et al., 2020, arXiv 2005.08100), as ESPnet builds them."""

    def build(self, shape: LayerShape) -> nn.Module:
        return ConformerLayer(
            shape.dim, shape.num_heads, shape.ffn_dim, shape.kernel_size, shape.dropout, shape.conv_norm
        )


@dataclass(frozen=True)
class EBranchformerLayers(LayerKind):
    """E-Branchformer layers (Kim et al., 2022, arXiv 2210.00077): self-attention and a convolutional MLP side by side.

    Args:
        cgmlp_dim: Inner features of the convolutional MLP; null: 4 times dim.
        merge_kernel_size: Frames that the convolution which merges both branches sees.

    Raises:
        FoldError: A size cannot be built.
    """

    cgmlp_dim: int | None = None
    merge_kernel_size: int = 31

    def __post_init__(self) -> None:
        if self.cgmlp_dim is not None and self.cgmlp_dim % 2:
            raise FoldError(f"cgmlp_dim is {self.cgmlp_dim}: it must be even, as one half of it gates the other")
        if self.merge_kernel_size % 2 == 0:
            raise FoldError(f"merge_kernel_size is {self.merge_kernel_size}: it must be odd")

    def build(self, shape: LayerShape) -> nn.Module:
        if shape.conv_norm != "layer":
            raise FoldError(f"conv_norm is {shape.conv_norm}: E-Branchformer layers have only LayerNorm (layer)")
        return EBranchformerLayer(
            shape.dim,
            shape.num_heads,
            shape.ffn_dim,
            self.cgmlp_dim or 4 * shape.dim,
            shape.kernel_size,
            self.merge_kernel_size,
            shape.dropout,
        )


LAYERS = Registry(LayerKind, "kind of layer", "fold.layers", home="fold.models.layers")

"""wav2vec 2.0 and HuBERT after structured pruning: layers whose numbers of heads and inner features differ. Layers:
torchaudio's, made smaller."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torchaudio.models import wav2vec2_model
from torchaudio.models.wav2vec2.components import EncoderLayer, FeedForward, SelfAttention

from fold.errors import FoldError
from fold.models.foundation.families.family import Builder, Parts
from fold.models.foundation.families.wav2vec2 import torchaudio_parts, torchaudio_settings
from fold.models.foundation.layers import WaveformEncoder
from fold.models.foundation.shape import Dropouts, Shape, settled


@dataclass(frozen=True)
class PrunedShape(Shape):
    """The shape of a pruned model.

    num_heads, ffn_dim: of each layer; 0 where nothing is left of attention or feed-forward; head_dim: features of a
    head.
    Raises FoldError if it cannot be built.
    """

    family: Literal["pruned"] = "pruned"  # type: ignore[assignment]  # of a kind of its own
    num_heads: tuple[int, ...] = (12,) * 12  # type: ignore[assignment]  # one for each layer
    ffn_dim: tuple[int, ...] = (3072,) * 12  # type: ignore[assignment]  # the same
    head_dim: int = 64

    DIVISORS: ClassVar[tuple[str, ...]] = ("position_groups",)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("num_heads", "ffn_dim"):
            sizes = tuple(getattr(self, name))
            object.__setattr__(self, name, sizes)
            if len(sizes) != self.num_layers or not all(isinstance(size, int) and size >= 0 for size in sizes):
                raise FoldError(f"{name} is {list(sizes)}: expected a number for each of {self.num_layers} layers")


class Pruned(Builder):
    """Pruned wav2vec 2.0 or HuBERT."""

    shape_type: ClassVar[type[PrunedShape]] = PrunedShape

    def parts(self, shape: PrunedShape, dropouts: Dropouts) -> Parts:
        settings = {**torchaudio_settings(shape, dropouts), "encoder_num_heads": 1, "encoder_ff_interm_features": 1}
        model = wav2vec2_model(**settings)
        layers = model.encoder.transformer.layers
        for layer, heads, features in zip(layers, shape.num_heads, shape.ffn_dim, strict=True):
            resize(layer, _of_heads(layer.attention, heads, shape.head_dim), features, dropouts)
        parts = torchaudio_parts(model, shape)
        return dataclasses.replace(parts, features=ScaledWaveformEncoder(model.feature_extractor, shape))

    of_layers: ClassVar[tuple[str, ...]] = ("num_heads", "ffn_dim")
    """Fields of the shape with a value for each layer."""

    def kept(self, shape: PrunedShape, groups: Sequence[Sequence[int]]) -> PrunedShape:
        sizes = list(zip(*(getattr(shape, name) for name in self.of_layers), strict=True))
        for group in groups:
            if len({sizes[place] for place in group}) > 1:
                layers = " and ".join(str(place + 1) for place in group)
                raise FoldError(f"keep is mean: layers {layers} of this pruned model differ in size; keep others")
        stay = zip(*(sizes[group[0]] for group in groups), strict=True)
        changes: dict[str, Any] = dict(zip(self.of_layers, stay, strict=True))
        return dataclasses.replace(shape, num_layers=len(groups), **changes)


class ScaledWaveformEncoder(WaveformEncoder):
    """The convolutions, of whose channels each is scaled by what pruning left of its gate: `dummy_weight`, by its name
    in DPHuBERT."""

    def __init__(self, extractor: nn.Module, shape: Shape) -> None:
        super().__init__(extractor, shape)
        self.register_buffer("dummy_weight", torch.ones(shape.conv_channels[-1]))

    def forward(self, waveforms: Tensor, num_samples: Tensor) -> tuple[Tensor, Tensor]:
        x, lengths = super().forward(waveforms, num_samples)
        return x * self.get_buffer("dummy_weight").to(x.dtype), lengths


def resize(layer: EncoderLayer, attention: nn.Module, features: int, dropouts: Dropouts) -> None:
    """Gives a layer this attention and so many inner features; of none nothing is left."""
    drops = settled(dropouts.ffn), settled(dropouts.hidden)
    dim = layer.attention.embed_dim
    layer.attention = attention
    layer.feed_forward = FeedForward(dim, features, *drops) if features else _NoFeedForward()


def _of_heads(attention: SelfAttention, heads: int, head_dim: int) -> nn.Module:
    """The attention with so many heads; of none nothing is left."""
    if not heads:
        return NoAttention()
    dim, inner = attention.embed_dim, heads * head_dim
    attention.num_heads, attention.head_dim, attention.scaling = heads, head_dim, head_dim**-0.5
    attention.k_proj, attention.v_proj, attention.q_proj = (nn.Linear(dim, inner) for _ in range(3))
    attention.out_proj = nn.Linear(inner, dim)
    smaller: nn.Module = attention
    return smaller


class NoAttention(nn.Module):
    """Adds nothing to x, in torchaudio's form."""

    def forward(self, x: Tensor, **others: object) -> tuple[Tensor, None]:
        return torch.zeros_like(x), None


class _NoFeedForward(nn.Module):
    """Adds nothing to x."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)

"""WavLM after structured pruning (DPWavLM): as other pruned models, but each head has distances of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torchaudio.models import wavlm_model

from fold.errors import FoldError
from fold.models.foundation.families.family import Parts
from fold.models.foundation.families.pruned import NoAttention, Pruned, PrunedShape, ScaledWaveformEncoder, resize
from fold.models.foundation.families.wav2vec2 import torchaudio_parts, torchaudio_settings
from fold.models.foundation.families.wavlm import RelativeBias, WavLMLayer
from fold.models.foundation.shape import Dropouts, settled


@dataclass(frozen=True)
class PrunedWavLMShape(PrunedShape):
    """The shape of a pruned WavLM.

    total_heads: of a layer before pruning; stay: which of them (from 0) stay of each layer: as many as `num_heads`.
    Raises FoldError if it cannot be built.
    """

    family: Literal["pruned-wavlm"] = "pruned-wavlm"  # type: ignore[assignment]  # of a kind of its own
    total_heads: int = 12
    stay: tuple[tuple[int, ...], ...] = (tuple(range(12)),) * 12

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "stay", tuple(map(tuple, self.stay)))
        heads = range(self.total_heads)
        fitting = [len(ones) == number for ones, number in zip(self.stay, self.num_heads, strict=True)]
        if not all(fitting) or not all(head in heads for ones in self.stay for head in ones):
            raise FoldError(f"stay is {self.stay}: expected {self.num_heads} heads of 0 to {self.total_heads - 1}")


class PrunedWavLM(Pruned):
    """Pruned WavLM."""

    shape_type = PrunedWavLMShape
    of_layers = (*Pruned.of_layers, "stay")

    def parts(self, shape: PrunedWavLMShape, dropouts: Dropouts) -> Parts:  # type: ignore[override]
        heads = {"encoder_num_heads": shape.total_heads, "encoder_ff_interm_features": 1}
        buckets = {"encoder_num_buckets": shape.num_buckets, "encoder_max_distance": shape.max_distance}
        model = wavlm_model(**{**torchaudio_settings(shape, dropouts), **heads}, **buckets)
        blocks = model.encoder.transformer.layers
        relative = RelativeBias(blocks[0].attention)
        for block, stay, features in zip(blocks, shape.stay, shape.ffn_dim, strict=True):
            attention = GatedAttention(shape, stay, settled(dropouts.attention)) if stay else NoAttention()
            resize(block, attention, features, dropouts)
        return dataclasses.replace(
            torchaudio_parts(model, shape),
            features=ScaledWaveformEncoder(model.feature_extractor, shape),
            relative=relative,
            layers=[WavLMLayer(block) for block in blocks],
        )


class GatedAttention(nn.Module):
    """WavLM's attention, of whose heads some stay. By its names in DPHuBERT.

    shape: of the model; stay: the heads; dropout: share of the weights dropped in training.
    """

    def __init__(self, shape: PrunedWavLMShape, stay: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.stay, self.head_dim, self.dropout = list(stay), shape.head_dim, dropout
        inner = len(stay) * shape.head_dim
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(shape.dim, inner) for _ in range(3))
        self.out_proj = nn.Linear(inner, shape.dim)
        self.gru_rel_pos_linear = nn.Linear(shape.head_dim, 8)
        self.gru_rel_pos_const = nn.Parameter(torch.ones(1, shape.total_heads, 1, 1))

    def forward(
        self, x: Tensor, attention_mask: None, position_bias: Tensor, key_padding_mask: Tensor
    ) -> tuple[Tensor, None]:
        """x: (batch, frames, dim); position_bias: (total heads, frames, frames); key_padding_mask: (batch, frames),
        what is added to the scores of a frame. Returns x's shape, and nothing."""
        bias = self._gates(x) * position_bias[self.stay] + key_padding_mask[:, None, None]
        query, key, value = (self._heads(part(x)) for part in (self.q_proj, self.k_proj, self.v_proj))
        dropout = self.dropout if self.training else 0.0
        heads = nn.functional.scaled_dot_product_attention(query, key, value, bias.to(query.dtype), dropout)
        result: Tensor = self.out_proj(heads.transpose(1, 2).flatten(2))
        return result, None

    def _heads(self, x: Tensor) -> Tensor:
        """(batch, frames, features) to (batch, heads, frames, head_dim)."""
        heads: Tensor = x.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
        return heads

    def _gates(self, x: Tensor) -> Tensor:
        """How much distance matters to each frame, (batch, heads, frames, 1)."""
        pairs: Tensor = self.gru_rel_pos_linear(self._heads(x)[:, self.stay]).unflatten(-1, (2, 4)).sum(-1).sigmoid()
        reset, update = pairs.chunk(2, dim=-1)
        return reset * (update * self.gru_rel_pos_const[:, self.stay] - 1.0) + 2.0

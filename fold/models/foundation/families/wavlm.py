"""WavLM: wav2vec 2.0 whose attention adds a gated bias by distance. Layers: torchaudio's."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn
from torchaudio.models import wavlm_model
from torchaudio.models.wav2vec2.components import EncoderLayer
from torchaudio.models.wav2vec2.wavlm_attention import WavLMSelfAttention

from fold.models.foundation.families.family import Parts
from fold.models.foundation.families.wav2vec2 import (
    FIELDS,
    PARTS_OF,
    WaveFamily,
    torchaudio_parts,
    torchaudio_settings,
)
from fold.models.foundation.shape import Dropouts, Shape


class WavLM(WaveFamily):
    """WavLM."""

    fields = {
        **FIELDS,
        "pre_norm": "do_stable_layer_norm",
        "num_buckets": "num_buckets",
        "max_distance": "max_bucket_distance",
    }
    only = {**WaveFamily.only, "hidden_act": "gelu"}
    parts_of = {**PARTS_OF, "stem.relative.": "encoder.layers.0.attention."}

    def parts(self, shape: Shape, dropouts: Dropouts) -> Parts:
        buckets = {"encoder_num_buckets": shape.num_buckets, "encoder_max_distance": shape.max_distance}
        model = wavlm_model(**torchaudio_settings(shape, dropouts), **buckets)
        blocks = model.encoder.transformer.layers
        relative = RelativeBias(blocks[0].attention)
        layers = [WavLMLayer(block) for block in blocks]
        return dataclasses.replace(torchaudio_parts(model, shape), relative=relative, layers=layers)

    def layer_names(self, ours: str) -> tuple[str, ...]:
        """torchaudio joins query, key and value."""
        inner = ours.removeprefix("block.").replace("attention.attention.", "attention.")
        if ".in_proj_" in inner:
            return tuple(inner.replace("in_proj_", f"{part}_proj.") for part in "qkv")
        return (inner,)


class RelativeBias(nn.Module):
    """The attention bias by distance, which the first layer of the original holds and all layers use.

    first: attention of that layer.
    """

    compute_bias = WavLMSelfAttention.compute_bias
    _relative_positions_bucket = WavLMSelfAttention._relative_positions_bucket

    def __init__(self, first: WavLMSelfAttention) -> None:
        super().__init__()
        self.num_buckets, self.max_distance = first.num_buckets, first.max_distance
        self.rel_attn_embed = first.rel_attn_embed

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, frames, dim). Returns (heads, frames, frames)."""
        with x.device:
            bias: Tensor = self.compute_bias(x.shape[1], x.shape[1])
        return bias


class WavLMLayer(nn.Module):
    """A layer of torchaudio in the form that unfolding runs."""

    def __init__(self, block: EncoderLayer) -> None:
        super().__init__()
        self.block = block
        block.attention.rel_attn_embed = None  # the stem's

    def forward(self, x: Tensor, visible: Tensor, bias: Tensor) -> Tensor:
        """x: (batch, frames, dim); visible: (batch, frames); bias: (heads, frames, frames)."""
        hidden = torch.zeros_like(visible, dtype=x.dtype).masked_fill(~visible, -torch.inf)
        result: Tensor = self.block(x, position_bias=bias, key_padding_mask=hidden)[0]
        return result

"""The foldable Conformer: filterbanks, 4x subsampling, Conformer layers, CTC head, optional attention decoder."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from fold.errors import FoldError
from fold.models.asr import Architecture, Recogniser, StemOutput
from fold.models.frontend import Frontend, SpecAugmentConfig, num_fbank_frames
from fold.models.layers import ConformerLayers, LayerKind, LayerShape
from fold.modules.attention import relative_positions
from fold.modules.decoder import AttentionDecoder
from fold.modules.masks import length_mask
from fold.modules.norms import ConvNorm
from fold.modules.subsampling import ConvSubsampling
from fold.unfolding import Unfolding


class ConformerStem(nn.Module):
    """Frontend and subsampling. Hands each layer the frame mask and the relative positions."""

    def __init__(self, frontend: Frontend, subsampling: ConvSubsampling, dim: int, dropout: float) -> None:
        super().__init__()
        self.frontend = frontend
        self.subsampling = subsampling
        self.dropout = nn.Dropout(dropout)
        self.dim = dim

    def forward(self, waveforms: Tensor, num_samples: Tensor) -> StemOutput:
        """waveforms: (batch, samples); num_samples: (batch,). One frame out is 40 ms; what is too short has none."""
        missing = self.frontend.fbank.num_samples(self.subsampling.MIN_FRAMES) - waveforms.shape[1]
        waveforms = nn.functional.pad(waveforms, (0, max(0, missing)))
        features, num_frames = self.frontend(waveforms, num_samples)
        x = self.dropout(self.subsampling(features) * math.sqrt(self.dim))
        num_frames = self.subsampling.output_length(num_frames).clamp(min=0)
        positions = relative_positions(x.shape[1], self.dim, x.device).to(x.dtype)
        mask = length_mask(num_frames, x.shape[1], x.device)
        return StemOutput(x, num_frames, (mask,), (self.dropout(positions),))


@dataclass(frozen=True)
class Conformer(Architecture):
    """A Conformer, or another kind of layers between the same stem and heads. The defaults are the paper's: ESPnet's
    Switchboard Conformer, folded to 6 layers.

    Args:
        num_layers: Physical layers.
        dim: Features of a frame; even, and a multiple of num_heads.
        num_heads: Attention heads of a layer.
        ffn_dim: Inner features of the feed-forward modules.
        kernel_size: Frames that a layer's convolution over time sees; odd.
        conv_norm: The norm inside a Conformer layer's convolution module.
        dropout: Share of activations that are dropped in training.
        subsampling_channels: Channels of the subsampling convolutions; null: dim.
        decoder_layers: Layers of the attention decoder; 0 for CTC only.
        decoder_ffn_dim: Inner features of the decoder's feed-forward modules.
        num_mels: Mel bins of the filterbank.
        normalisation: Of the filterbanks, over each utterance or (global) over the training set.
        spec_augment: Masks in training; null switches them off.
        checkpoint_activations: Whether activations are computed anew in the backward pass: less memory, more compute.
        layer: The kind of the encoder's layers.

    Raises:
        FoldError: The shape cannot be built.
    """

    num_layers: int = 6
    dim: int = 256
    num_heads: int = 4
    ffn_dim: int = 2048
    kernel_size: int = 31
    conv_norm: ConvNorm = "layer"
    dropout: float = 0.1
    subsampling_channels: int | None = None
    decoder_layers: int = 6
    decoder_ffn_dim: int = 2048
    num_mels: int = 80
    normalisation: Literal["utterance", "global"] = "utterance"
    spec_augment: SpecAugmentConfig | None = SpecAugmentConfig()
    checkpoint_activations: bool = False
    layer: LayerKind = ConformerLayers()

    CHANGEABLE = ("dropout", "spec_augment", "checkpoint_activations")
    OF_HEADS = ("decoder_layers", "decoder_ffn_dim")

    def __post_init__(self) -> None:
        for setting in ("dim", "num_heads", "ffn_dim", "subsampling_channels", "decoder_ffn_dim"):
            if (size := getattr(self, setting)) is not None and size < 1:
                raise FoldError(f"{setting} is {size}: it must be at least 1")
        if self.decoder_layers < 0:
            raise FoldError(f"decoder_layers is {self.decoder_layers}: it must be 0 (no decoder) or more")
        if not 0 <= self.dropout < 1:
            raise FoldError(f"dropout is {self.dropout}: expected a share, from 0 to below 1")
        if self.dim % self.num_heads or self.dim % 2:
            raise FoldError(f"dim is {self.dim}: it must be even and a multiple of num_heads ({self.num_heads})")
        if self.conv_norm == "group" and self.dim % 8:
            raise FoldError(f"dim is {self.dim}: conv_norm 'group' needs a multiple of 8")
        if self.num_mels < ConvSubsampling.MIN_FRAMES:
            raise FoldError(f"num_mels is {self.num_mels}: the subsampling needs at least {ConvSubsampling.MIN_FRAMES}")
        if self.kernel_size % 2 == 0:
            raise FoldError(f"kernel_size is {self.kernel_size}: it must be odd, so that a frame sits in the middle")
        with torch.device("meta"):
            self._layer()  # a kind refuses here, before a corpus is prepared, what it cannot be

    def build(self, vocab_size: int, sample_rate: int) -> Recogniser:
        frontend = Frontend(sample_rate, self.num_mels, self.normalisation, self.spec_augment)
        subsampling = ConvSubsampling(self.num_mels, self.subsampling_channels or self.dim, self.dim)
        layers = [self._layer() for _ in range(self.num_layers)]
        return Recogniser(
            stem=ConformerStem(frontend, subsampling, self.dim, self.dropout),
            unfolding=Unfolding(layers, self.checkpoint_activations),
            final_norm=nn.LayerNorm(self.dim),
            ctc_head=nn.Linear(self.dim, vocab_size),
            decoder=self._decoder(vocab_size) if self.decoder_layers else None,
        )

    def num_frames(self, num_samples: int, sample_rate: int) -> int:
        return max(0, ConvSubsampling.output_length(num_fbank_frames(num_samples, sample_rate)))

    def _layer(self) -> nn.Module:
        shape = LayerShape(self.dim, self.num_heads, self.ffn_dim, self.kernel_size, self.dropout, self.conv_norm)
        return self.layer.build(shape)

    def _decoder(self, vocab_size: int) -> AttentionDecoder:
        return AttentionDecoder(
            vocab_size, self.dim, self.decoder_layers, self.num_heads, self.decoder_ffn_dim, self.dropout
        )

"""The foldable Conformer: filterbanks, 4x subsampling, Conformer layers, CTC head, optional attention decoder."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from fold.errors import FoldError
from fold.models.asr import Architecture, Recogniser, StemOutput
from fold.models.frontend import Frontend, SpecAugmentConfig, num_fbank_frames
from fold.modules.attention import relative_positions
from fold.modules.conformer import ConformerLayer
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
    """Shape of a Conformer. The defaults are the paper's: ESPnet's Switchboard Conformer, folded to 6 layers.

    num_layers: physical layers; conv_norm: norm inside the convolution module;
    subsampling_channels: channels of the subsampling convolutions (None: dim);
    decoder_layers: 0 for CTC alone; normalisation: of the filterbanks, an utterance or over the training set;
    spec_augment: None switches it off; checkpoint_activations: less memory in training, more compute.
    Raises FoldError for a shape that cannot be built.
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

    CHANGEABLE = ("dropout", "spec_augment", "checkpoint_activations")

    def __post_init__(self) -> None:
        if self.dim % self.num_heads or self.dim % 2:
            raise FoldError(f"dim is {self.dim}: it must be even and a multiple of num_heads ({self.num_heads})")
        if self.conv_norm == "group" and self.dim % 8:
            raise FoldError(f"dim is {self.dim}: conv_norm 'group' needs a multiple of 8")
        if self.num_mels < ConvSubsampling.MIN_FRAMES:
            raise FoldError(f"num_mels is {self.num_mels}: the subsampling needs at least {ConvSubsampling.MIN_FRAMES}")
        if self.kernel_size % 2 == 0:
            raise FoldError(f"kernel_size is {self.kernel_size}: it must be odd, so that a frame sits in the middle")

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

    @classmethod
    def from_plain(cls, settings: dict[str, Any]) -> Conformer:
        masks = settings["spec_augment"]
        return cls(**{**settings, "spec_augment": masks and SpecAugmentConfig(**masks)})

    def num_frames(self, num_samples: int, sample_rate: int) -> int:
        return max(0, ConvSubsampling.output_length(num_fbank_frames(num_samples, sample_rate)))

    def _layer(self) -> ConformerLayer:
        return ConformerLayer(self.dim, self.num_heads, self.ffn_dim, self.kernel_size, self.dropout, self.conv_norm)

    def _decoder(self, vocab_size: int) -> AttentionDecoder:
        return AttentionDecoder(
            vocab_size, self.dim, self.decoder_layers, self.num_heads, self.decoder_ffn_dim, self.dropout
        )

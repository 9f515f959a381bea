"""The parts of a speech foundation model: torchaudio's modules, made exact under padding and unfoldable."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchaudio.models.wav2vec2.components import EncoderLayer, FeatureExtractor
from torchaudio.models.wav2vec2.wavlm_attention import WavLMSelfAttention

from fold.models.asr import StemOutput
from fold.models.foundation.masking import Mask
from fold.models.foundation.shape import Shape
from fold.modules.masks import length_mask

EPSILON = 1e-5  # of all norms of these models


def normalised(x: Tensor, mask: Tensor) -> Tensor:
    """x brought to zero mean and unit variance over time, where `mask` holds. fp32.

    x: (..., time); mask: broadcastable to x, True at what counts.
    """
    x = x.float()
    count = mask.sum(-1, keepdim=True).clamp(min=1)
    x = x - (x * mask).sum(-1, keepdim=True) / count
    return x * ((x * mask).square().sum(-1, keepdim=True) / count + EPSILON).rsqrt()


class WaveformEncoder(nn.Module):
    """The convolutions on the waveform ("feature encoder"). Padding changes nothing.

    GroupNorm averages over time: torchaudio and transformers let padding into it, so that what a batch says of an
    utterance depends on the others. Here it sees an utterance's own frames alone, as it would without a batch.

    extractor: torchaudio's; shape: of the model; frozen: no gradient enters.
    """

    def __init__(self, extractor: FeatureExtractor, shape: Shape, frozen: bool) -> None:
        super().__init__()
        self.conv_layers = extractor.conv_layers
        self.shape = shape
        self.frozen = frozen
        self.requires_grad_(not frozen)

    def forward(self, waveforms: Tensor, num_samples: Tensor) -> tuple[Tensor, Tensor]:
        """waveforms: (batch, samples); num_samples: (batch,). Returns (batch, frames, channels) and num_frames."""
        missing = self.shape.min_samples - waveforms.shape[1]
        waveforms = nn.functional.pad(waveforms, (0, max(0, missing)))
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            if self.shape.normalise:
                mask = length_mask(num_samples, waveforms.shape[1], waveforms.device)
                waveforms = normalised(waveforms, mask) * mask
            x, lengths = waveforms.unsqueeze(1), num_samples
            for block in self.conv_layers:
                x = block.conv(x)
                lengths = ((lengths - block.kernel_size) // block.stride + 1).clamp(min=0)
                x = nn.functional.gelu(self._norm(block.layer_norm, x, lengths))
        return x.transpose(1, 2), lengths

    @staticmethod
    def _norm(norm: nn.Module | None, x: Tensor, lengths: Tensor) -> Tensor:
        """x: (batch, channels, time)."""
        if isinstance(norm, nn.GroupNorm):  # one group a channel
            mask = length_mask(lengths, x.shape[-1], x.device)[:, None, :]
            scaled = normalised(x, mask) * norm.weight[:, None] + norm.bias[:, None]
            return scaled.to(x.dtype)
        return x if norm is None else norm(x)


class RelativeBias(nn.Module):
    """WavLM's attention bias by distance, which the first layer of the original holds and all layers use.

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
            return self.compute_bias(x.shape[1], x.shape[1])


class FoundationStem(nn.Module):
    """Waveform to what the Transformer layers take: convolutions, projection, masking, positional convolution.

    norm: after the positions, of a post-norm model; relative: of WavLM, None for the others.
    """

    def __init__(
        self,
        waveform_encoder: WaveformEncoder,
        projection: nn.Module,
        mask: Mask | None,
        positions: nn.Module,
        norm: nn.Module,
        dropout: float,
        relative: RelativeBias | None,
    ) -> None:
        super().__init__()
        self.waveform_encoder = waveform_encoder
        self.projection = projection
        self.mask = mask
        self.positions = positions
        self.norm = norm
        self.dropout = nn.Dropout(dropout)
        self.relative = relative

    def forward(self, waveforms: Tensor, num_samples: Tensor) -> StemOutput:
        """waveforms: (batch, samples) in [-1, 1]; num_samples: (batch,)."""
        features, num_frames = self.waveform_encoder(waveforms, num_samples)
        x = self.projection(features)
        if self.mask is not None:
            x = self.mask(x, num_frames)
        # Attention over no frame at all would be NaN: an utterance that is too short looks at one frame of zeros.
        x = x * length_mask(num_frames, x.shape[1], x.device).unsqueeze(-1)
        visible = length_mask(num_frames.clamp(min=1), x.shape[1], x.device)
        x = self.dropout(self.norm(x + self.positions(x)))
        # In mixed precision the layers of a pre-norm model would add their results up in bf16.
        x = x.to(next(self.parameters()).dtype)
        bias = None if self.relative is None else self.relative(x)
        return StemOutput(x, num_frames, (visible,), (bias,))


class FoundationLayer(nn.Module):
    """A Transformer layer of torchaudio in the form that unfolding runs."""

    def __init__(self, block: EncoderLayer) -> None:
        super().__init__()
        self.block = block
        if isinstance(block.attention, WavLMSelfAttention):
            block.attention.rel_attn_embed = None  # the stem's

    def forward(self, x: Tensor, visible: Tensor, bias: Tensor | None) -> Tensor:
        """x: (batch, frames, dim); visible: (batch, frames); bias: of WavLM, (heads, frames, frames)."""
        if bias is not None:
            hidden = torch.zeros_like(visible, dtype=x.dtype).masked_fill(~visible, -torch.inf)
            return self.block(x, position_bias=bias, key_padding_mask=hidden)[0]
        mask = visible[:, None, None, :].expand(-1, 1, x.shape[1], -1)
        return self.block(x, attention_mask=mask)[0]

"""The parts of a speech foundation model that families share, exact under padding and unfoldable."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchaudio.models.wav2vec2.components import ConvolutionalPositionalEmbedding, EncoderLayer, FeatureExtractor

from fold.models.asr import StemOutput
from fold.models.foundation.masking import Mask
from fold.models.foundation.shape import Shape
from fold.modules.masks import length_mask

EPSILON = 1e-5  # of all norms of these models


def normalised(x: Tensor, mask: Tensor, epsilon: float) -> Tensor:
    """x brought to zero mean and unit variance over time, where `mask` holds. fp32.

    x: (..., time); mask: broadcastable to x, True at what counts; epsilon: added to the variance.
    """
    x = x.float()
    count = mask.sum(-1, keepdim=True).clamp(min=1)
    x = x - (x * mask).sum(-1, keepdim=True) / count
    return x * ((x * mask).square().sum(-1, keepdim=True) / count + epsilon).rsqrt()


class WaveformEncoder(nn.Module):
    """The convolutions on the waveform ("feature encoder"). Padding changes nothing.

    GroupNorm averages over time: torchaudio and transformers let padding into it, so that what a batch says of an
    utterance depends on the others. Here it sees only an utterance's own frames, as it would without a batch.

    extractor: torchaudio's; shape: of the model.
    """

    def __init__(self, extractor: FeatureExtractor, shape: Shape) -> None:
        super().__init__()
        self.conv_layers = extractor.conv_layers
        self.shape = shape

    def forward(self, waveforms: Tensor, num_samples: Tensor) -> tuple[Tensor, Tensor]:
        """waveforms: (batch, samples); num_samples: (batch,). Returns (batch, frames, channels) and num_frames."""
        missing = self.shape.min_samples - waveforms.shape[1]
        waveforms = nn.functional.pad(waveforms, (0, max(0, missing)))
        if self.shape.normalise:
            mask = length_mask(num_samples, waveforms.shape[1], waveforms.device)
            waveforms = normalised(waveforms, mask, self.shape.epsilon) * mask
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
            scaled = normalised(x, mask, EPSILON) * norm.weight[:, None] + norm.bias[:, None]
            return scaled.to(x.dtype)
        return x if norm is None else norm(x)


class ConvolutionalPositions(nn.Module):
    """What a wide convolution says of where a frame stands. original: torchaudio's."""

    def __init__(self, original: ConvolutionalPositionalEmbedding) -> None:
        super().__init__()
        self.conv = original.conv

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x: (batch, frames, dim), zero where mask, (batch, frames), does not hold. Returns x's shape."""
        around = self.conv(x.transpose(1, 2))[..., : x.shape[1]]  # an even kernel gives a frame too many
        return nn.functional.gelu(around).transpose(1, 2)


class FoundationStem(nn.Module):
    """Waveform to what the layers take: features, projection, masking, positions.

    The arguments are the parts of `fold.models.foundation.families.family.Parts`. mask: of frames in training;
    frozen: no gradient enters the features.
    """

    def __init__(
        self,
        features: nn.Module,
        projection: nn.Module,
        mask: Mask | None,
        positions: nn.Module | None,
        norm: nn.Module,
        dropout: float,
        relative: nn.Module | None,
        frozen: bool,
    ) -> None:
        super().__init__()
        self.waveform_encoder = features.requires_grad_(not frozen)
        self.projection = projection
        self.mask = mask
        self.positions = positions
        self.norm = norm
        self.dropout = nn.Dropout(dropout)
        self.relative = relative
        self.frozen = frozen

    def forward(self, waveforms: Tensor, num_samples: Tensor) -> StemOutput:
        """waveforms: (batch, samples) in [-1, 1]; num_samples: (batch,)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            features, num_frames = self.waveform_encoder(waveforms, num_samples)
        x = self.projection(features)
        if self.mask is not None:
            x = self.mask(x, num_frames)
        # Attention over no frame at all would be NaN: an utterance that is too short looks at one frame of zeros.
        mask = length_mask(num_frames, x.shape[1], x.device)
        x = x * mask.unsqueeze(-1)
        visible = length_mask(num_frames.clamp(min=1), x.shape[1], x.device)
        if self.positions is not None:
            x = x + self.positions(x, mask)
        x = self.dropout(self.norm(x))
        # In mixed precision the layers of a pre-norm model would add their results up in bf16.
        x = x.to(next(self.projection.parameters()).dtype)
        relative = None if self.relative is None else self.relative(x)
        return StemOutput(x, num_frames, (visible,), (relative,))


class Adapter(nn.Module):
    """The adapter of MMS after a layer, of one language: the way through fewer features, added to what enters.

    dim: features of a frame; inner: the fewer features.
    """

    def __init__(self, dim: int, inner: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.linear_1 = nn.Linear(dim, inner)
        self.linear_2 = nn.Linear(inner, dim)

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, frames, dim). Returns x's shape."""
        change: Tensor = self.linear_2(nn.functional.relu(self.linear_1(self.norm(x))))
        return x + change


class FoundationLayer(nn.Module):
    """A Transformer layer of torchaudio in the form that unfolding runs, with or without an adapter after it."""

    def __init__(self, block: EncoderLayer, adapter: Adapter | None = None) -> None:
        super().__init__()
        self.block = block
        self.adapter = adapter

    def forward(self, x: Tensor, visible: Tensor, relative: None) -> Tensor:
        """x: (batch, frames, dim); visible: (batch, frames); relative: nothing. Returns x's shape."""
        mask = visible[:, None, None, :].expand(-1, 1, x.shape[1], -1)
        x = self.block(x, attention_mask=mask)[0]
        return x if self.adapter is None else self.adapter(x)

"""w2v-BERT 2.0: Conformer layers on mel filterbanks instead of the waveform. Layers: transformers' own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torchaudio.models.wav2vec2.components import FeatureProjection

from fold.errors import FoldError
from fold.models.foundation.families.conformer import (
    CONFORMER_FIELDS,
    added_mask,
    check_activation,
    check_rotary,
    distances,
    layer_settings,
    transformers_layers,
)
from fold.models.foundation.families.family import MASK_EMBEDDING, Family, Parts
from fold.models.foundation.shape import Count, Dropouts
from fold.models.frontend import LOG_FLOOR
from fold.modules.masks import length_mask

EPSILON = 1e-7  # added to the variance of a mel bin
STRIDE = 2  # mel frames of a frame in w2v-BERT 2.0, the only number that transformers' extractor rounds as we do
WINDOW, HOP = 400, 160  # samples of a mel frame and to the next, whatever the rate: of 25 and 10 ms at 16 kHz


@dataclass(frozen=True)
class BertShape:
    """The shape of a w2v-BERT model. The defaults are w2v-BERT 2.0.

    Args:
        family: Names this kind of model.
        num_layers: Conformer layers.
        dim: Features of a frame.
        num_heads: Of attention.
        ffn_dim: Inner features of the feed-forward modules.
        num_mels: Mel bins.
        stride: How many mel frames, of 160 samples, are put beside each other into one.
        sample_rate: Of the audio, in Hz.
        positions: How attention knows distances; null for not at all.
        left: The farthest distance back that has a vector of its own, in frames.
        right: The farthest distance ahead that has one.
        rotary_base: Of rotary positions.
        kernel_size: Of the convolution modules, in frames.
        activation: By its name in transformers.
    """

    family: Literal["wav2vec2-bert"] = "wav2vec2-bert"
    num_layers: int = 24
    dim: int = 1024
    num_heads: int = 16
    ffn_dim: int = 4096
    num_mels: int = 80
    stride: int = STRIDE
    sample_rate: int = 16000
    positions: Literal["relative_key", "relative", "rotary"] | None = "relative_key"
    left: int = 64
    right: int = 8
    rotary_base: int = 10000
    kernel_size: int = 31
    activation: str = "swish"

    def __post_init__(self) -> None:
        if self.num_heads < 1 or self.dim < 1 or self.dim % self.num_heads:
            raise FoldError(f"dim is {self.dim}: it must be a multiple of num_heads ({self.num_heads})")
        check_rotary(self.positions, self.dim, self.num_heads)

    def num_frames(self, num_samples: Count) -> Count:
        """Frames of so many samples."""
        return num_mel_frames(num_samples) // self.stride

    @property
    def min_samples(self) -> int:
        """The fewest samples that give a frame."""
        return WINDOW + HOP * (self.stride - 1)


class W2vBert(Family):
    """wav2vec2-bert."""

    shape_type = BertShape
    fields = {
        **CONFORMER_FIELDS,
        "left": "left_max_position_embeddings",
        "right": "right_max_position_embeddings",
    }
    only = {"add_adapter": False, "layer_norm_eps": 1e-5, "use_intermediate_ffn_before_adapter": False}
    parts_of = {
        "stem.projection.": "feature_projection.",
        MASK_EMBEDDING: "masked_spec_embed",
        "ctc_head.": "lm_head.",
    }
    may_be_zero = ("left", "right")
    left_out = ("encoder.embed_positions.",)
    usual_dropouts = Dropouts(0.0, 0.0, 0.0, 0.0, 0.1, 0.1)
    hears = "SeamlessM4TFeatureExtractor"

    def parts(self, shape: BertShape, dropouts: Dropouts) -> Parts:
        new_layer = transformers_layers("wav2vec2_bert", self.kind, layer_settings(self, shape, dropouts))
        return Parts(
            features=MelFeatures(shape),
            projection=FeatureProjection(shape.num_mels * shape.stride, shape.dim, dropouts.features),
            positions=None,
            norm=nn.Identity(),
            relative=distances(shape.positions, shape.dim, shape.num_heads, shape.rotary_base),
            layers=[BertLayer(new_layer()) for _ in range(shape.num_layers)],
            final_norm=nn.Identity(),
        )

    def check_rate(self, shape: BertShape, sample_rate: int) -> None:
        if shape.sample_rate != sample_rate:
            raise FoldError(
                f"model.network.shape.sample_rate is {shape.sample_rate}, but the audio has {sample_rate} Hz "
                "(data.sample_rate): expected one rate"
            )

    def shape(self, config: Mapping[str, Any], extractor: Mapping[str, Any] | None) -> BertShape:
        self.check(config)
        self.check_hears(extractor)
        settings = extractor or {}
        num_mels, stride = settings.get("num_mel_bins", 80), settings.get("stride", STRIDE)
        width = config.get("feature_projection_input_dim", num_mels * stride)
        if width != num_mels * stride:
            raise FoldError(
                f"feature_projection_input_dim is {width}, but {stride} frames of {num_mels} mel bins are heard"
            )
        sample_rate = settings.get("sampling_rate", 16000)
        check_activation(config.get("hidden_act", BertShape.activation))
        return BertShape(num_mels=num_mels, stride=stride, sample_rate=sample_rate, **self.given(config))

    def extractor(self, shape: BertShape, sample_rate: int) -> dict[str, Any]:
        return {
            "feature_extractor_type": self.hears,
            "feature_size": shape.num_mels,
            "num_mel_bins": shape.num_mels,
            "stride": shape.stride,
            "sampling_rate": sample_rate,
            "padding_value": 0.0,
            "return_attention_mask": True,
        }

    def unlike_theirs(self, shape: BertShape) -> str:
        """Its extractor pads to an even number of mel frames, and counts as heard what has a second one."""
        if shape.stride == STRIDE:
            return ""
        told = f"frames are of {shape.stride} mel frames, but transformers rounds as for {STRIDE}: "
        if shape.stride == 1:
            return told + "its feature extractor does not hear such frames at all"
        return told + "of some utterances it hears one frame more than fold, with other log-probabilities"

    def config(self, shape: BertShape) -> dict[str, Any]:
        return {**super().config(shape), "feature_projection_input_dim": shape.num_mels * shape.stride}

    def dropout_fields(self) -> dict[str, str]:
        return {**super().dropout_fields(), "conv": "conformer_conv_dropout"}


class MelFeatures(nn.Module):
    """Mel filterbanks, each bin of an utterance at zero mean and unit variance, neighbouring frames beside each other.

    Nothing in it learns. As `fold.models.frontend.Fbank`, but in fp64 with a window and filters made in fp64, as
    transformers hears: bins with little in them differ in fp32.
    """

    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.shape = shape

    @torch.no_grad()
    def forward(self, waveforms: Tensor, num_samples: Tensor) -> tuple[Tensor, Tensor]:
        """waveforms: (batch, samples); num_samples: (batch,). Returns (batch, frames, mels * stride) and num_frames."""
        shape = self.shape
        missing = shape.min_samples - waveforms.shape[1]
        waveforms = nn.functional.pad(waveforms, (0, max(0, missing)))
        with torch.autocast(waveforms.device.type, enabled=False):
            x = log_mels(waveforms, shape.sample_rate, shape.num_mels)
            heard = num_mel_frames(num_samples).clamp(min=0)
            mask = length_mask(heard, x.shape[1], x.device).unsqueeze(-1)
            count = mask.sum(1, keepdim=True)
            x = x - (x * mask).sum(1, keepdim=True) / count.clamp(min=1)
            variance = (x * mask).square().sum(1, keepdim=True) / (count - 1).clamp(min=1)
            x = x * (variance + EPSILON).rsqrt() * mask
        frames = x.shape[1] // shape.stride
        return x[:, : frames * shape.stride].reshape(x.shape[0], frames, -1).float(), heard // shape.stride


def num_mel_frames(num_samples: Count) -> Count:
    """Mel frames of so many samples."""
    return (num_samples - WINDOW) // HOP + 1


def log_mels(waveforms: Tensor, sample_rate: int, num_mels: int) -> Tensor:
    """waveforms: (batch, samples) in [-1, 1]. Returns (batch, frames, num_mels)."""
    precision = torch.float32 if waveforms.device.type == "mps" else torch.float64
    tables = window_and_filters(sample_rate, num_mels)
    window, filters = (torch.from_numpy(table).to(waveforms.device, precision) for table in tables)
    frames = (waveforms.to(precision) * 2**15).unfold(1, WINDOW, HOP)
    frames = frames - frames.mean(-1, keepdim=True)
    before = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
    power = torch.fft.rfft((frames - 0.97 * before) * window, n=2 * (len(filters) - 1)).abs().square()
    energies: Tensor = power @ filters
    # Rounded as there: a bin that hardly varies is made of the last digits.
    return energies.clamp(min=LOG_FLOOR).log().float().to(precision)


@lru_cache(maxsize=8)
def window_and_filters(sample_rate: int, num_mels: int) -> tuple[np.ndarray, np.ndarray]:
    """Povey's window, and Kaldi's triangular filters: (bins, num_mels), in fp64.

    Of NumPy, as tensors made while PyTorch traces a model hold no numbers, and would be kept for later.
    """

    def mels(hertz: np.ndarray) -> np.ndarray:
        return 1127 * np.log(1 + hertz / 700)

    nyquist = sample_rate / 2
    lowest, highest = mels(np.array([20.0, nyquist])).tolist()
    edges = np.linspace(lowest, highest, num_mels + 2)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    num_bins = (1 << (WINDOW - 1).bit_length()) // 2 + 1
    bins = mels(np.linspace(0, nyquist, num_bins))[:, None]
    filters = np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre)).clip(min=0)
    return np.hanning(WINDOW) ** 0.85, filters


class BertLayer(nn.Module):
    """A layer of transformers in the form that unfolding runs. block: its Wav2Vec2BertEncoderLayer."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor, visible: Tensor, relative: Tensor | None) -> Tensor:
        """x: (batch, frames, dim); visible: (batch, frames); relative: from `distances`. Returns x's shape."""
        result: Tensor | tuple[Tensor, ...] = self.block(
            x,
            attention_mask=added_mask(visible, x.dtype),
            relative_position_embeddings=relative,
            conv_attention_mask=visible,
        )
        return result if isinstance(result, Tensor) else result[0]  # alone since transformers 5.1

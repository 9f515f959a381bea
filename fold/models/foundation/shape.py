"""The shape of a speech foundation model that hears the waveform, and what is dropped of it in training."""

from __future__ import annotations

from dataclasses import Field, dataclass
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from torch import Tensor

from fold.errors import FoldError

EPSILON, TORCHAUDIO_EPSILON = 1e-7, 1e-5  # added to the variance of waveforms, by transformers and by torchaudio

T = TypeVar("T")
Count = TypeVar("Count", int, Tensor)


class AnyShape(Protocol):
    """What all shapes have: a frozen dataclass of plain values, one class a kind of network."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def family(self) -> str:
        """The `model_type` of transformers, of `fold.models.foundation.families`."""

    @property
    def num_layers(self) -> int:
        """Layers of the original."""

    @property
    def dim(self) -> int:
        """Features of a frame."""

    def num_frames(self, num_samples: Count) -> Count:
        """Frames of so many samples."""


Family = Literal["wav2vec2", "hubert", "wavlm", "unispeech", "unispeech-sat"]


@dataclass(frozen=True)
class Shape:
    """The shape of a wav2vec 2.0, HuBERT, WavLM, UniSpeech or UniSpeech-SAT model. The defaults are wav2vec 2.0 base.

    Args:
        family: All are one network under several names, but `wavlm` adds gated relative positions.
        num_layers: Transformer layers.
        dim: Features of a frame; a multiple of num_heads and position_groups.
        num_heads: Attention heads of a layer.
        ffn_dim: Inner features of the feed-forward modules.
        conv_channels: Output channels of each convolution of the feature encoder on the waveform.
        conv_kernels: Their kernel sizes.
        conv_strides: Their strides.
        conv_bias: Whether they have a bias.
        conv_norm: After them, `group` (base: only of the first, over time) or `layer` (large).
        pre_norm: Norms before attention and feed-forward (large) or after (base).
        position_kernel: Kernel size of the positional convolution.
        position_groups: Its groups.
        normalise: Whether waveforms are brought to zero mean and unit variance.
        num_buckets: Of relative positions (only wavlm).
        max_distance: Farthest relative position with a bucket of its own (only wavlm).
        epsilon: Added to the variance of a waveform that is normalised: 1e-7 in transformers, 1e-5 in torchaudio.
        projection_norm: Whether the features are normalised before their projection (DistilHuBERT, a hubert, does not).
        adapter_dim: Inner features of the adapter after each layer (MMS; needs pre_norm); null: no adapter.

    Raises:
        FoldError: The shape cannot be built.
    """

    family: Family = "wav2vec2"
    num_layers: int = 12
    dim: int = 768
    num_heads: int = 12
    ffn_dim: int = 3072
    conv_channels: tuple[int, ...] = (512,) * 7
    conv_kernels: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_strides: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    conv_bias: bool = False
    conv_norm: Literal["group", "layer"] = "group"
    pre_norm: bool = False
    position_kernel: int = 128
    position_groups: int = 16
    normalise: bool = False
    num_buckets: int = 320
    max_distance: int = 800
    epsilon: float = EPSILON
    projection_norm: bool = True
    adapter_dim: int | None = None

    DIVISORS: ClassVar[tuple[str, ...]] = ("num_heads", "position_groups")

    def __post_init__(self) -> None:
        for name in ("conv_channels", "conv_kernels", "conv_strides"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # lists, as YAML and JSON have them
        if not len(self.conv_channels) == len(self.conv_kernels) == len(self.conv_strides) > 0:
            raise FoldError(
                "conv_channels, conv_kernels and conv_strides must be of one length: a value per convolution"
            )
        for part in self.DIVISORS:
            divisor = getattr(self, part)
            if divisor < 1 or self.dim < 1 or self.dim % divisor:
                raise FoldError(f"dim is {self.dim}: it must be a multiple of {part} ({divisor})")
        if self.adapter_dim is not None and not self.pre_norm:
            raise FoldError(f"adapter_dim is {self.adapter_dim}: only layers with pre_norm have adapters")

    def num_frames(self, num_samples: Count) -> Count:
        """Frames of so many samples: what the convolutions, without padding, leave."""
        for kernel, stride in zip(self.conv_kernels, self.conv_strides, strict=True):
            num_samples = (num_samples - kernel) // stride + 1
        return num_samples

    @property
    def min_samples(self) -> int:
        """The fewest samples that give a frame: what one frame sees."""
        num_samples = 1
        for kernel, stride in zip(reversed(self.conv_kernels), reversed(self.conv_strides), strict=True):
            num_samples = (num_samples - 1) * stride + kernel
        return num_samples


@dataclass(frozen=True)
class Dropouts:
    """Shares dropped in training; null: as in the training of the source, and without a source 0.1 after and in
    attention, in feed-forward and convolution modules. LayerDrop is no setting: it would change the depth of a path.

    Args:
        hidden: After attention, feed-forward and the positional convolution.
        attention: Of attention's weights.
        ffn: Inside the feed-forward modules.
        features: After the projection of the feature encoder.
        head: Before the CTC head.
        conv: After the convolution modules (only of conformers).

    Raises:
        FoldError: A share is out of range.
    """

    hidden: float | None = None
    attention: float | None = None
    ffn: float | None = None
    features: float | None = None
    head: float | None = None
    conv: float | None = None

    def __post_init__(self) -> None:
        for name, share in vars(self).items():
            if share is not None and not 0 <= share < 1:
                raise FoldError(f"model.network.dropouts.{name} is {share}: expected a share, 0 or more and below 1")

    def over(self, source: Dropouts) -> Dropouts:
        """These, and where they say nothing those of the source, else the usual ones."""
        usual = {"hidden": 0.1, "attention": 0.1, "ffn": 0.1, "features": 0.0, "head": 0.0, "conv": 0.1}
        return Dropouts(
            **{name: first_given(getattr(self, name), getattr(source, name), usual[name]) for name in usual}
        )


def first_given(*values: T | None) -> T:
    """The first that is not None."""
    return next(value for value in values if value is not None)


def settled(value: T | None) -> T:
    """The value of a setting in whose place, were it null, another was put before."""
    assert value is not None
    return value

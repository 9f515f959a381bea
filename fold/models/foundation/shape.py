"""The shape of a speech foundation model, and the networks that torchaudio builds of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torchaudio
from torchaudio.models import Wav2Vec2Model, wav2vec2_model, wavlm_model

from fold.errors import FoldError

Family = Literal["wav2vec2", "hubert", "wavlm"]


@dataclass(frozen=True)
class Shape:
    """The shape of a wav2vec 2.0, HuBERT or WavLM model. The defaults are wav2vec 2.0 base.

    Args:
        family: `wav2vec2` and `hubert` are one network under two names; `wavlm` adds gated relative positions.
        num_layers: Transformer layers.
        dim: Features of a frame; a multiple of num_heads and position_groups.
        num_heads: Attention heads of a layer.
        ffn_dim: Inner features of the feed-forward modules.
        conv_channels: Output channels of each convolution of the feature encoder on the waveform.
        conv_kernels: Their kernel sizes.
        conv_strides: Their strides.
        conv_bias: Whether they have a bias.
        conv_norm: After them, `group` (base: of the first alone, over time) or `layer` (large).
        pre_norm: Norms before attention and feed-forward (large) or after (base).
        position_kernel: Kernel size of the positional convolution.
        position_groups: Its groups.
        normalise: Whether waveforms are brought to zero mean and unit variance.
        num_buckets: Of relative positions (wavlm alone).
        max_distance: Farthest relative position with a bucket of its own (wavlm alone).

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

    def __post_init__(self) -> None:
        for name in ("conv_channels", "conv_kernels", "conv_strides"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # lists, as YAML and JSON have them
        if not len(self.conv_channels) == len(self.conv_kernels) == len(self.conv_strides) > 0:
            raise FoldError("conv_channels, conv_kernels and conv_strides must be as many: one a convolution")
        if self.dim % self.num_heads:
            raise FoldError(f"dim is {self.dim}: it must be a multiple of num_heads ({self.num_heads})")
        if self.dim % self.position_groups:
            raise FoldError(f"dim is {self.dim}: it must be a multiple of position_groups ({self.position_groups})")

    def num_frames(self, num_samples: Any) -> Any:
        """Frames of so many samples (an int or a tensor): what the convolutions, without padding, leave."""
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
    """Shares dropped in training. LayerDrop is no setting: it would change the depth of a path.

    Args:
        hidden: After attention, feed-forward and the positional convolution.
        attention: Of attention's weights.
        ffn: Inside the feed-forward modules.
        features: After the projection of the feature encoder.
        head: Before the CTC head.
    """

    hidden: float = 0.1
    attention: float = 0.1
    ffn: float = 0.1
    features: float = 0.0
    head: float = 0.0


def torchaudio_model(shape: Shape, num_units: int | None = None, dropouts: Dropouts = Dropouts()) -> Wav2Vec2Model:
    """torchaudio's network of a shape, with fresh weights and a CTC head of `num_units`, if given."""
    settings = {
        "extractor_mode": f"{shape.conv_norm}_norm",
        "extractor_conv_layer_config": list(
            zip(shape.conv_channels, shape.conv_kernels, shape.conv_strides, strict=True)
        ),
        "extractor_conv_bias": shape.conv_bias,
        "encoder_embed_dim": shape.dim,
        "encoder_projection_dropout": dropouts.features,
        "encoder_pos_conv_kernel": shape.position_kernel,
        "encoder_pos_conv_groups": shape.position_groups,
        "encoder_num_layers": shape.num_layers,
        "encoder_num_heads": shape.num_heads,
        "encoder_attention_dropout": dropouts.attention,
        "encoder_ff_interm_features": shape.ffn_dim,
        "encoder_ff_interm_dropout": dropouts.ffn,
        "encoder_dropout": dropouts.hidden,
        "encoder_layer_norm_first": shape.pre_norm,
        "encoder_layer_drop": 0.0,
        "aux_num_out": num_units,
    }
    if shape.family == "wavlm":
        buckets = {"encoder_num_buckets": shape.num_buckets, "encoder_max_distance": shape.max_distance}
        return wavlm_model(**settings, **buckets)
    return wav2vec2_model(**settings)


def bundles() -> dict[str, Any]:
    """torchaudio's pre-trained models by name."""
    names = (name for name in dir(torchaudio.pipelines) if name.startswith(("WAV2VEC2", "HUBERT", "WAVLM")))
    return {name: getattr(torchaudio.pipelines, name) for name in names}


def bundle_shape(name: str) -> Shape:
    """The shape of one of torchaudio's pre-trained models; nothing is downloaded.

    Raises FoldError if there is none of that name.
    """
    if name not in bundles():
        raise FoldError(f"no pre-trained model '{name}' in torchaudio; there are {', '.join(bundles())}")
    bundle = bundles()[name]
    given = bundle._params  # torchaudio publishes no other way to the shape without its weights
    channels, kernels, strides = zip(*given["extractor_conv_layer_config"], strict=True)
    return Shape(
        family=name.split("_")[0].lower(),
        num_layers=given["encoder_num_layers"],
        dim=given["encoder_embed_dim"],
        num_heads=given["encoder_num_heads"],
        ffn_dim=given["encoder_ff_interm_features"],
        conv_channels=channels,
        conv_kernels=kernels,
        conv_strides=strides,
        conv_bias=given["extractor_conv_bias"],
        conv_norm=given["extractor_mode"].removesuffix("_norm"),
        pre_norm=given["encoder_layer_norm_first"],
        position_kernel=given["encoder_pos_conv_kernel"],
        position_groups=given["encoder_pos_conv_groups"],
        normalise=bundle._normalize_waveform,
        num_buckets=given.get("encoder_num_buckets", Shape.num_buckets),
        max_distance=given.get("encoder_max_distance", Shape.max_distance),
    )

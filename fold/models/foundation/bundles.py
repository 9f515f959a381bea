"""torchaudio's pre-trained models as sources of weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torchaudio
from torch.utils.serialization import config as serialization

from fold.errors import FoldError
from fold.models.foundation.masking import Masking
from fold.models.foundation.shape import TORCHAUDIO_EPSILON, Dropouts, Shape
from fold.models.foundation.tokens import Vocabulary
from fold.models.foundation.weights import LAYER, Weights, of_dict

PARTS_OF = {  # how our names of weights begin, and how torchaudio's do
    "stem.waveform_encoder.": "feature_extractor.",
    "stem.projection.": "encoder.feature_projection.",
    "stem.positions.": "encoder.transformer.pos_conv_embed.",
    "stem.norm.": "encoder.transformer.layer_norm.",
    "stem.relative.": "encoder.transformer.layers.0.attention.",
    "stem.mask.": "mask.",  # which it has not
    "final_norm.0.": "encoder.transformer.layer_norm.",
    "ctc_head.": "aux.",
}
DROPOUTS = {
    "hidden": "encoder_dropout",
    "attention": "encoder_attention_dropout",
    "ffn": "encoder_ff_interm_dropout",
    "features": "encoder_projection_dropout",
}


def bundles() -> dict[str, Any]:
    """torchaudio's pre-trained models by name."""
    names = (name for name in dir(torchaudio.pipelines) if name.startswith(("WAV2VEC2", "HUBERT", "WAVLM")))
    return {name: getattr(torchaudio.pipelines, name) for name in names}


def torchaudio_name(ours: str) -> str:
    """torchaudio's name of a weight of ours."""
    if layer := LAYER.match(ours):
        return f"encoder.transformer.layers.{layer[1]}." + ours[layer.end() :].removeprefix("block.")
    [start] = [start for start in PARTS_OF if ours.startswith(start)]
    return PARTS_OF[start] + ours.removeprefix(start)


def dropouts_of(arguments: Mapping[str, Any]) -> Dropouts:
    """Those among the arguments of torchaudio's functions that build these networks."""
    return Dropouts(**{field: arguments.get(name) for field, name in DROPOUTS.items()})


@dataclass(frozen=True)
class Bundle:
    """One of torchaudio's pre-trained models, downloaded once into torch's cache of the user."""

    name: str

    left_out = ()

    @property
    def bundle(self) -> Any:
        return bundles()[self.name]

    @property
    def sample_rate(self) -> int:
        return int(self.bundle.sample_rate)

    def shape(self) -> Shape:
        """Nothing is downloaded for it."""
        given = self.bundle._params  # torchaudio publishes no other way to the shape without its weights
        channels, kernels, strides = zip(*given["extractor_conv_layer_config"], strict=True)
        return Shape(
            family=self.name.split("_")[0].lower(),  # type: ignore[arg-type]  # one of the three
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
            normalise=self.bundle._normalize_waveform,
            epsilon=TORCHAUDIO_EPSILON,
            num_buckets=given.get("encoder_num_buckets", Shape.num_buckets),
            max_distance=given.get("encoder_max_distance", Shape.max_distance),
        )

    def vocabulary(self) -> Vocabulary | None:
        if not hasattr(self.bundle, "get_labels"):
            return None
        [_, *labels] = self.bundle.get_labels()
        units = tuple(" " if label == "|" else label for label in labels)
        return Vocabulary(units, tuple(range(1, 1 + len(units))), blank=0)

    def dropouts(self) -> Dropouts:
        return dropouts_of(self.bundle._params)

    def masking(self) -> Masking:
        """Unknown."""
        return Masking()

    def fetch(self) -> None:
        """Raises FoldError if it can be neither found in the cache nor downloaded."""
        _ = self.weights

    def names(self, ours: str) -> tuple[str, ...]:
        return (torchaudio_name(ours),)

    @cached_property
    def weights(self) -> Weights:
        """Raises FoldError if they can be neither found in the cache nor downloaded."""
        try:
            with serialization.patch("load.mmap", True):  # type: ignore[attr-defined]  # PyTorch puts it there
                held = self.bundle._get_state_dict({"weights_only": True, "map_location": "cpu"})
        except Exception as error:  # of a connection, a proxy, a full disk, a damaged file
            cache = Path(torch.hub.get_dir()) / "checkpoints"
            raise FoldError(
                f"source {self.name}: not downloaded ({error}); without a connection put its file into {cache}, or "
                "give a Hugging Face directory as source"
            ) from None
        return of_dict(held, f"source {self.name}")

"""Checkpoints of DPHuBERT (Peng et al., 2023, arXiv 2305.17651): HuBERT, wav2vec 2.0 or WavLM, distilled and pruned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from fold.errors import FoldError
from fold.models.foundation.bundles import dropouts_of
from fold.models.foundation.families.pruned import PrunedShape
from fold.models.foundation.families.pruned_wavlm import PrunedWavLMShape
from fold.models.foundation.published import Published
from fold.models.foundation.shape import TORCHAUDIO_EPSILON, Dropouts
from fold.models.foundation.tokens import Vocabulary
from fold.models.foundation.weights import Weights, of_dict

UNPRUNED = (  # in a configuration: true while gates are trained that tell what to prune
    "extractor_prune_conv_channels",
    "encoder_prune_attention_heads",
    "encoder_prune_attention_layer",
    "encoder_prune_feed_forward_intermediate",
    "encoder_prune_feed_forward_layer",
)


@dataclass(frozen=True)
class DPHuBERT(Published):
    """A checkpoint of DPHuBERT: `config`, the arguments of torchaudio's `wav2vec2_model` with a number of heads and of
    inner features for each layer, and `state_dict`.

    A CTC head (`aux`) stays if `labels` name its rows: blank, unknown, units, end. So our own pruned models are stored;
    others get a new head.
    """

    HOLDS: ClassVar[tuple[str, ...]] = ("config", "state_dict")

    def shape(self) -> PrunedShape:
        config = self.content["config"]
        if gated := [name for name in UNPRUNED if config.get(name)]:
            raise FoldError(f"source {self.path}: is not pruned yet ({gated[0]}); take what save_final_ckpt.py writes")
        try:
            return _of_wavlm(config) if "encoder_remaining_heads" in config else _shape(config)
        except (KeyError, TypeError, ValueError) as error:
            raise FoldError(f"source {self.path}: its config is none of DPHuBERT ({error!r})") from None
        except FoldError as error:
            raise FoldError(f"source {self.path}: {error}") from None

    def vocabulary(self) -> Vocabulary | None:
        if "labels" not in self.content:
            return None
        units = tuple(self.content["labels"])[2:-1]
        return Vocabulary(units, tuple(range(2, 2 + len(units))), blank=0, unknown=1, end=2 + len(units))

    def dropouts(self) -> Dropouts:
        return dropouts_of(self.content["config"])

    @cached_property
    def weights(self) -> Weights:
        return of_dict(self.content["state_dict"], str(self.path))


def _shape(config: Mapping[str, Any]) -> PrunedShape:
    """The shape of a configuration. Raises KeyError, TypeError or ValueError for what is none."""
    heads, used = config["encoder_num_heads"], config["encoder_use_attention"]
    return PrunedShape(
        num_heads=tuple(number * is_used for number, is_used in zip(heads, used, strict=True)),
        head_dim=config["encoder_head_dim"],
        **_sizes(config),
    )


def _of_wavlm(config: Mapping[str, Any]) -> PrunedWavLMShape:
    """The same of a WavLM. Raises FoldError besides."""
    [total] = set(config["encoder_total_num_heads"])
    heads, used = config["encoder_remaining_heads"], config["encoder_use_attention"]
    stay = tuple(tuple(ones) if is_used else () for ones, is_used in zip(heads, used, strict=True))
    if not stay[0]:
        raise FoldError("nothing is left of attention in the first layer, which knows the distances of all")
    return PrunedWavLMShape(
        num_heads=tuple(map(len, stay)),
        stay=stay,
        total_heads=total,
        head_dim=config["encoder_embed_dim"] // total,
        num_buckets=config["encoder_num_buckets"],
        max_distance=config["encoder_max_distance"],
        **_sizes(config),
    )


def _sizes(config: Mapping[str, Any]) -> dict[str, Any]:
    """What both have."""
    channels, kernels, strides = zip(*config["extractor_conv_layer_config"], strict=True)
    features, used = config["encoder_ff_interm_features"], config["encoder_use_feed_forward"]
    return {
        "num_layers": config["encoder_num_layers"],
        "dim": config["encoder_embed_dim"],
        "ffn_dim": tuple(number * is_used for number, is_used in zip(features, used, strict=True)),
        "conv_channels": channels,
        "conv_kernels": kernels,
        "conv_strides": strides,
        "conv_bias": config["extractor_conv_bias"],
        "conv_norm": config["extractor_mode"].removesuffix("_norm"),
        "pre_norm": config["encoder_layer_norm_first"],
        "position_kernel": config["encoder_pos_conv_kernel"],
        "position_groups": config["encoder_pos_conv_groups"],
        "normalise": config["normalize_waveform"],
        "epsilon": TORCHAUDIO_EPSILON,
    }

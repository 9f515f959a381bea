"""Checkpoints of LightHuBERT (Wang et al., 2022, arXiv 2203.15610): a HuBERT that holds smaller ones in its weights."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from fold.errors import FoldError
from fold.models.foundation.published import Published
from fold.models.foundation.shape import TORCHAUDIO_EPSILON, Dropouts, Shape
from fold.models.foundation.tokens import Vocabulary
from fold.models.foundation.weights import Weights, common_name

HEAD_DIM = 64  # of all heads of all subnets
DEFAULTS = {  # of settings that a checkpoint may lack
    "extractor_mode": "layer_norm",
    "encoder_layers": 12,
    "encoder_embed_dim": 768,
    "encoder_ffn_embed_dim": 3072,
    "layer_norm_first": False,
    "conv_feature_layers": "[(512,10,5)] + [(512,3,2)] * 4 + [(512,2,2)] * 2",
    "conv_bias": False,
    "conv_pos": 128,
    "conv_pos_groups": 16,
    "dropout": 0.1,
    "attention_dropout": 0.1,
    "activation_dropout": 0.0,
    "dropout_input": 0.0,
}
ONLY = {"activation_fn": "gelu", "layer_type": "transformer", "pos_conv_depth": 1}
LEAVING = (12, 8, 4, 11, 7, 3)  # the layers (from 1) that smaller subnets lack, in the order in which they leave
PARTS_OF = {  # how fairseq's names of weights begin, and torchaudio's
    "layer_norm.": "encoder.feature_projection.layer_norm.",
    "post_extract_proj.": "encoder.feature_projection.projection.",
    "encoder.pos_conv.0.": "encoder.transformer.pos_conv_embed.conv.",
    "encoder.layer_norm.": "encoder.transformer.layer_norm.",
    "mask_emb": "mask.embedding",
}
CONV = re.compile(r"feature_extractor\.conv_layers\.(\d+)\.(0|2|2\.1)\.(\w+)")  # convolution, GroupNorm, LayerNorm
LAYER = re.compile(r"encoder\.layers\.(\d+)\.(.+)")
INSIDE = {
    "self_attn.": "attention.",
    "self_attn_layer_norm.": "layer_norm.",
    "fc1.": "feed_forward.intermediate_dense.",
    "fc2.": "feed_forward.output_dense.",
    "final_layer_norm.": "final_layer_norm.",
}


@dataclass(frozen=True)
class Subnet:
    """One of the networks that a checkpoint of LightHuBERT holds, the same in all layers.

    Args:
        dim: Features of a frame; a head for every 64 of them.
        ffn_dim: Inner features of the feed-forward modules; null: 4 times dim.
        num_layers: Of the 12; those that stay are given.
    """

    dim: int
    ffn_dim: int | None = None
    num_layers: int = 12

    @property
    def inner(self) -> int:
        return self.ffn_dim or 4 * self.dim


@dataclass(frozen=True)
class Space:
    """The subnets that were trained. dims: features of a frame; ratios: of inner features to these; layers: numbers of
    them; usual: what the authors evaluate."""

    dims: tuple[int, ...]
    ratios: tuple[float, ...]
    layers: tuple[int, ...]
    usual: Subnet

    def __contains__(self, subnet: Subnet) -> bool:
        return subnet.dim in self.dims and subnet.inner / subnet.dim in self.ratios and subnet.num_layers in self.layers

    def __str__(self) -> str:
        named = {"dim": self.dims, "ffn_dim / dim": self.ratios, "num_layers": self.layers}
        return "; ".join(f"{name} of {', '.join(map(str, values))}" for name, values in named.items())


SPACES = {
    "base": Space((512, 640, 768), (3.5, 4.0), (12,), Subnet(640)),
    "small": Space((256, 384, 512), (3.0, 3.5, 4.0), (10, 11, 12), Subnet(384)),
}


@dataclass(frozen=True)
class LightHuBERT(Published):
    """A checkpoint of LightHuBERT: `cfg`, as fairseq keeps it, and `model`, the weights of the largest network.

    subnet: that is taken of it, None for that of the authors. It is a plain HuBERT under a new CTC head.
    """

    subnet: Subnet | None = None

    HOLDS: ClassVar[tuple[str, ...]] = ("cfg", "model")

    @cached_property
    def config(self) -> dict[str, Any]:
        """Raises FoldError if it is no HuBERT, or has parts that we have no layers for."""
        given = self.content["cfg"].get("model")
        if not isinstance(given, Mapping) or given.get("_name") not in ("hubert_pruner", "student_hubert"):
            name = given.get("_name") if isinstance(given, Mapping) else None
            raise FoldError(
                f"source {self.path}: is a checkpoint of fairseq, of {name or 'an unknown model'}; of these only "
                "LightHuBERT can be read, others as the folders that transformers has of them"
            )
        for name, value in ONLY.items():
            if given.get(name, value) != value:
                raise FoldError(f"source {self.path}: {name} is {given[name]!r}; only {value!r} can be folded")
        return {**DEFAULTS, **given}

    @cached_property
    def chosen(self) -> Subnet:
        """Raises FoldError if the subnet was not trained."""
        config = self.config
        if config.get("_name") == "student_hubert":  # of the first stage, which trains the largest network alone
            whole = Subnet(config["encoder_embed_dim"], config["encoder_ffn_embed_dim"], config["encoder_layers"])
            return self._checked(self.subnet or whole, Space((whole.dim,), (whole.inner / whole.dim,), (12,), whole))
        kind = re.search(r"(base|small)\.yaml$", str(config.get("pruner_supernet", "")).lower())
        if kind is None:
            raise FoldError(f"source {self.path}: its pruner_supernet says neither base nor small")
        return self._checked(self.subnet or SPACES[kind[1]].usual, SPACES[kind[1]])

    def _checked(self, subnet: Subnet, space: Space) -> Subnet:
        if subnet not in space or subnet.dim > self.config["encoder_embed_dim"]:
            told = f"dim {subnet.dim}, ffn_dim {subnet.inner}, num_layers {subnet.num_layers}"
            raise FoldError(f"source {self.path}: has no subnet of {told}; there are {space}")
        return subnet

    def shape(self) -> Shape:
        try:
            return self._shape(self.config, self.chosen)
        except (AttributeError, TypeError, ValueError) as error:
            raise FoldError(f"source {self.path}: its cfg is none of LightHuBERT ({error!r})") from None

    def _shape(self, config: Mapping[str, Any], subnet: Subnet) -> Shape:
        channels, kernels, strides = zip(*self._convolutions(), strict=True)
        conv_norm: Literal["group", "layer"] = "layer" if config["extractor_mode"] == "layer_norm" else "group"
        task = self.content["cfg"].get("task") or {}
        return Shape(
            family="hubert",
            num_layers=subnet.num_layers,
            dim=subnet.dim,
            num_heads=subnet.dim // HEAD_DIM,
            ffn_dim=subnet.inner,
            conv_channels=channels,
            conv_kernels=kernels,
            conv_strides=strides,
            conv_bias=config["conv_bias"],
            conv_norm=conv_norm,
            pre_norm=config["layer_norm_first"],
            position_kernel=config["conv_pos"],
            position_groups=config["conv_pos_groups"],
            normalise=bool(task.get("normalize", conv_norm == "layer")),
            epsilon=TORCHAUDIO_EPSILON,  # and fairseq's
        )

    def _convolutions(self) -> list[tuple[int, int, int]]:
        """Channels, kernel and stride of each, as fairseq writes them: `[(512,10,5)] + [(512,3,2)] * 4`."""
        text = self.config["conv_feature_layers"]
        try:
            parts = [part.partition("*") for part in text.split("+")]
            lists = [ast.literal_eval(listed.strip()) * int(times or 1) for listed, _, times in parts]
            return [(channels, kernel, stride) for listed in lists for channels, kernel, stride in listed]
        except (AttributeError, SyntaxError, TypeError, ValueError):
            raise FoldError(f"source {self.path}: conv_feature_layers is {text!r}: expected lists of triples") from None

    def vocabulary(self) -> Vocabulary | None:
        return None

    def dropouts(self) -> Dropouts:
        config = self.config
        return Dropouts(
            config["dropout"], config["attention_dropout"], config["activation_dropout"], config["dropout_input"]
        )

    @cached_property
    def weights(self) -> Weights:
        """Those of the subnet under torchaudio's names, cut out when they are asked for."""
        stored = {str(name): value for name, value in self.content["model"].items() if isinstance(value, Tensor)}
        return Weights(str(self.path), dict(self._readers(stored)))

    def _readers(self, stored: Mapping[str, Tensor]) -> Iterator[tuple[str, Callable[[], Tensor]]]:
        dim, whole = self.chosen.dim, self.config["encoder_embed_dim"]
        ffn = _inner_features(self.chosen, whole)
        stay = sorted(set(range(1, 13)) - set(LEAVING[: 12 - self.chosen.num_layers]))
        positions = "encoder.pos_conv.0."
        for name, weight in stored.items():
            if conv := CONV.fullmatch(name):
                part = "conv" if conv[2] == "0" else "layer_norm"
                yield f"feature_extractor.conv_layers.{conv[1]}.{part}.{conv[3]}", partial(_cut, weight)
            elif layer := LAYER.fullmatch(name):
                if int(layer[1]) + 1 in stay:
                    place, inside = stay.index(int(layer[1]) + 1), _renamed(layer[2], INSIDE)
                    rows = ffn if layer[2].startswith("fc1.") else torch.arange(dim)
                    columns = ffn if layer[2].startswith("fc2.") else torch.arange(dim)
                    yield f"encoder.transformer.layers.{place}.{inside}", partial(_cut, weight, rows, columns)
            elif name in (positions + "weight_g", positions + "weight_v"):
                norm = name.endswith("_g")
                both = stored[positions + "weight_g"], stored[positions + "weight_v"]
                columns = torch.arange(dim // self.config["conv_pos_groups"])
                read = partial(_cut_normed, *both, torch.arange(dim), columns, norm)
                yield common_name(_renamed(name, PARTS_OF), ""), read
            elif name.startswith("layer_norm."):  # of the convolutions' features
                yield _renamed(name, PARTS_OF), partial(_cut, weight)
            elif name.startswith(tuple(PARTS_OF)):
                yield _renamed(name, PARTS_OF), partial(_cut, weight, torch.arange(dim))


def _renamed(name: str, parts: Mapping[str, str]) -> str:
    start = next((start for start in parts if name.startswith(start)), "")
    return parts.get(start, "") + name.removeprefix(start)


def _inner_features(subnet: Subnet, whole: int) -> Tensor:
    """Which inner features of the largest network's feed-forward modules a subnet has: the first `dim` of each `whole`
    of them, until there are enough."""
    blocks = torch.arange(-(-subnet.inner // subnet.dim)) * whole
    return (blocks[:, None] + torch.arange(subnet.dim)).flatten()[: subnet.inner]


def _cut(weight: Tensor, rows: Tensor | None = None, columns: Tensor | None = None) -> Tensor:
    """Some rows and columns, None for all; a bias has only rows."""
    kept = weight if rows is None else weight.index_select(0, rows)
    kept = kept if columns is None or kept.dim() < 2 else kept.index_select(1, columns)
    return kept.float()


def _cut_normed(norm: Tensor, direction: Tensor, rows: Tensor, columns: Tensor, wants_norm: bool) -> Tensor:
    """The same of a weight stored as its norm over all but the last dimension, and its direction; cut, it has another
    norm."""
    direction = direction.float()
    weight = norm.float() * direction / direction.norm(dim=(0, 1), keepdim=True)
    kept = _cut(weight, rows, columns)
    return kept.norm(dim=(0, 1), keepdim=True) if wants_norm else kept

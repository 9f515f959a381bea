"""What a family of pre-trained networks brings: its shape, its parts, and their names in transformers."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, get_type_hints

from torch import Tensor, nn

from fold.errors import FoldError
from fold.models.foundation.kinds import check_value
from fold.models.foundation.shape import AnyShape, Dropouts
from fold.models.foundation.weights import LAYER

MASK_EMBEDDING = "stem.mask.embedding"


@dataclass(frozen=True)
class Parts:
    """A network in parts, with fresh weights.

    features: `(waveforms, num_samples)` to (batch, frames, channels) and num_frames;
    projection: of the features to (batch, frames, dim);
    positions: (x, mask) to what is added to x, None for nothing; mask: (batch, frames);
    norm: of what the layers take;
    relative: x to what every layer is given of the distances between frames, None for nothing;
    layers: each called as `layer(x, mask, relative)`;
    final_norm: of what the layers give.
    """

    features: nn.Module
    projection: nn.Module
    positions: nn.Module | None
    norm: nn.Module
    relative: nn.Module | None
    layers: Sequence[nn.Module]
    final_norm: nn.Module


class Builder(ABC):
    """Builds the networks of one class of shapes."""

    shape_type: ClassVar[type[Any]]

    @abstractmethod
    def parts(self, shape: Any, dropouts: Dropouts) -> Parts:
        """The network of a shape."""

    def check_rate(self, shape: Any, sample_rate: int) -> None:  # noqa: B027 (most hear any rate)
        """Raises FoldError if a network of a shape hears only another rate, in Hz."""

    def kept(self, shape: Any, groups: Sequence[Sequence[int]]) -> Any:
        """The shape of what stays of a network; groups: for each kept layer, those (from 0) that it is the mean of.

        Raises FoldError if these have no mean.
        """
        return dataclasses.replace(shape, num_layers=len(groups))

    def shape_from_plain(self, plain: Mapping[str, Any]) -> AnyShape:
        """The shape from its fields, also from those of an older version that had fewer."""
        known = {field.name for field in dataclasses.fields(self.shape_type)}
        shape: AnyShape = self.shape_type(**{name: value for name, value in plain.items() if name in known})
        return shape


@dataclass(frozen=True)
class Family(Builder):
    """One `model_type` of transformers.

    kind: how its classes begin there, such as Wav2Vec2 in Wav2Vec2ForCTC; prefix: of the names of its weights.
    """

    kind: str
    prefix: str

    fields: ClassVar[Mapping[str, str]]
    """Of a shape: their names in config.json."""
    only: ClassVar[Mapping[str, object]]
    """Of config.json: the only value that we have layers for."""
    parts_of: ClassVar[Mapping[str, str]]
    """How our names of weights begin, and how those of transformers do."""
    may_be_zero: ClassVar[tuple[str, ...]] = ()
    """Of a shape: the whole numbers that need not be 1 or more."""
    left_out: ClassVar[tuple[str, ...]] = ("masked",)
    """How the names of weights begin that transformers stores and never uses."""

    usual_dropouts: ClassVar[Dropouts] = Dropouts(0.1, 0.1, 0.1, 0.0, 0.1, 0.1)
    """Those of transformers, where config.json does not say."""
    hears: ClassVar[str] = "Wav2Vec2FeatureExtractor"
    """The feature extractor of transformers that it hears through."""

    @abstractmethod
    def shape(self, config: Mapping[str, Any], extractor: Mapping[str, Any] | None) -> AnyShape:
        """The shape that config.json describes; extractor: settings of the feature extractor, None if no file has them.

        Raises FoldError if we have no layers for it.
        """

    @abstractmethod
    def extractor(self, shape: Any, sample_rate: int) -> dict[str, Any]:
        """The settings of transformers' feature extractor."""

    def unlike_theirs(self, shape: Any) -> str:
        """What transformers makes otherwise of a model of a shape; empty if nothing."""
        return ""

    def config(self, shape: Any) -> dict[str, Any]:
        """The part of config.json that describes a shape."""
        return {**self.only, **{name: getattr(shape, field) for field, name in self.fields.items()}}

    def constants(self, shape: Any) -> dict[str, Tensor]:
        """What transformers stores besides weights, by its name there: nothing that learns."""
        return {}

    def dropout_fields(self) -> dict[str, str]:
        """Of `Dropouts`: their names in config.json."""
        return {
            "hidden": "hidden_dropout",
            "attention": "attention_dropout",
            "ffn": "activation_dropout",
            "features": "feat_proj_dropout",
            "head": "final_dropout",
        }

    def names(self, ours: str) -> tuple[str, ...]:
        """The names in transformers, without prefix, of what a weight of ours is joined from."""
        if layer := LAYER.match(ours):
            start = f"encoder.layers.{layer[1]}."
            return tuple(start + name for name in self.layer_names(ours[layer.end() :]))
        for start, theirs in self.parts_of.items():
            if ours.startswith(start):
                return (theirs + ours.removeprefix(start),)
        raise AssertionError(f"{self.kind}: no name for {ours}")

    def layer_names(self, ours: str) -> tuple[str, ...]:
        """The same of a weight inside a layer."""
        return (ours.removeprefix("block."),)

    def check(self, config: Mapping[str, Any]) -> None:
        """Raises FoldError for the first setting that we have no layers for."""
        for name, value in self.only.items():
            if config.get(name, value) != value:
                raise FoldError(f"{name} is {config[name]!r}; only {value!r} can be folded")

    def given(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a shape that config.json has. Raises FoldError if one holds a value of another kind."""
        return self.read(config, self.fields)

    def read(self, config: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
        """The same of some fields; fields: their names in config.json."""
        kinds = get_type_hints(self.shape_type)
        found = {field: config[name] for field, name in fields.items() if name in config}
        for field, value in found.items():
            check_value(fields[field], value, kinds[field], least=0 if field in self.may_be_zero else 1)
        return found

    def check_hears(self, extractor: Mapping[str, Any] | None) -> None:
        """Raises FoldError if the feature extractor is one of other models."""
        kind = (extractor or {}).get("feature_extractor_type", self.hears)
        if kind != self.hears:
            raise FoldError(f"this model hears through a {self.hears}, but the feature extractor beside it is a {kind}")

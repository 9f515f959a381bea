"""Checkpoints that describe themselves: weights, architecture, path space, units and sample rate in one file.

Plain PyTorch: a model is loaded without Lightning, and no code from the file is executed.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from typing import Any

import torch

from fold import sealed
from fold.errors import FoldError
from fold.models import Architecture, Recogniser
from fold.models.asr import ARCHITECTURES
from fold.paths import PathSpace
from fold.registry import pack, pack_fields
from fold.text.units import Units, units_from_dict

KEY = "fold"  # where a checkpoint keeps its description
CONFIG = "config"  # the resolved settings of the run, as YAML
TRAINING = "training"  # what training took so far
PREFIX = "model."  # of the recogniser's weights among those of the LightningModule


@dataclass(frozen=True)
class Description:
    """All that is needed, besides weights, to use a model.

    sample_rate: of its audio, in Hz; shards: the prepared corpus that it was trained on.
    """

    architecture: Architecture
    space: PathSpace
    units: Units
    sample_rate: int
    shards: str

    def build(self) -> Recogniser:
        """The model with fresh weights."""
        return self.architecture.build(len(self.units), self.sample_rate)

    def to_dict(self) -> dict[str, Any]:
        """Plain Python values, which loading with `weights_only=True` accepts."""
        return {
            "format": 1,
            "architecture": ARCHITECTURES.name_of(type(self.architecture)),
            "settings": pack_fields(self.architecture),
            "space": pack(self.space),
            "units": self.units.to_dict(),
            "sample_rate": self.sample_rate,
            "shards": self.shards,
        }

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Description:
        """Reads `to_dict` back. Raises FoldError if the architecture is not at hand (see `fold.registry`)."""
        return cls(
            architecture=ARCHITECTURES.find(plain["architecture"]).from_plain(plain["settings"]),
            space=PathSpace(**plain["space"]),
            units=units_from_dict(plain["units"]),
            sample_rate=plain["sample_rate"],
            shards=plain["shards"],
        )

    def check(self) -> None:
        """Raises FoldError unless another process could read it back from a checkpoint."""
        name = ARCHITECTURES.name_of(type(self.architecture))
        if name.startswith("__main__."):
            raise FoldError(f"model.network: a checkpoint of {name} could not be loaded: move the class to a module")
        kept = io.BytesIO()
        torch.save(self.to_dict(), kept)
        kept.seek(0)
        try:
            back = Description.from_dict(torch.load(kept, weights_only=True))
        except Exception as error:  # of a class that we do not know
            raise FoldError(
                f"model.network: a checkpoint of {name} could not be loaded: {sealed.reason(error)}"
            ) from None
        if (back.architecture, back.to_dict()) != (self.architecture, self.to_dict()):
            raise FoldError(f"model.network: a checkpoint of {name} would be loaded with other settings (`from_plain`)")


def read(file: str | os.PathLike[str], map_location: Any = "cpu") -> dict[str, Any]:
    """All that a checkpoint holds; map_location: where its tensors go, as for `torch.load`.

    Raises FoldError if the file is missing, truncated, corrupt, or no checkpoint of fold, and refuses one that holds
    anything but tensors and plain values.
    """
    content = sealed.read(file, map_location)
    if not isinstance(content, dict) or KEY not in content:
        raise FoldError(f"checkpoint {file}: holds no description of a model; expected one written by `fold fit`")
    return content


def load(file: str | os.PathLike[str]) -> tuple[Recogniser, Description]:
    """The model of a checkpoint, in eval mode on the CPU, and its description.

    Raises FoldError as `read` does, and if description and weights do not fit together.
    """
    return restore(read(file), file)


def restore(content: dict[str, Any], file: str | os.PathLike[str]) -> tuple[Recogniser, Description]:
    """As `load`, from what `read` gave of a file."""
    try:
        description = Description.from_dict(content[KEY])
        model = description.build()
        weights = {k.removeprefix(PREFIX): v for k, v in content["state_dict"].items() if k.startswith(PREFIX)}
        model.load_state_dict(weights)
    except Exception as error:  # whatever the file says is not trusted to make sense
        raise FoldError(
            f"checkpoint {file}: its description and weights make no model ({sealed.reason(error)})"
        ) from None
    return model.eval(), description

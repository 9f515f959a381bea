"""Checkpoints that describe themselves: weights, architecture, path space, units and sample rate in one file.

Plain PyTorch: a model is loaded without Lightning, and no code from the file is executed.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import torch

import fold.models
from fold.data.units import Units, units_from_dict
from fold.errors import FoldError
from fold.models import Architecture, Recogniser
from fold.models.frontend import SpecAugmentConfig
from fold.paths import PathSpace

KEY = "fold"  # where a checkpoint keeps its description
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
            "architecture": type(self.architecture).__name__,
            "settings": dataclasses.asdict(self.architecture),
            "space": dataclasses.asdict(self.space),
            "units": self.units.to_dict(),
            "sample_rate": self.sample_rate,
            "shards": self.shards,
        }

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Description:
        """Reads `to_dict` back. Only architectures that `fold.models` exports can be named."""
        kind = getattr(fold.models, plain["architecture"])
        settings = dict(plain["settings"])
        if settings.get("spec_augment") is not None:
            settings["spec_augment"] = SpecAugmentConfig(**settings["spec_augment"])
        return cls(
            architecture=kind(**settings),
            space=PathSpace(**plain["space"]),
            units=units_from_dict(plain["units"]),
            sample_rate=plain["sample_rate"],
            shards=plain["shards"],
        )


def load(file: str | FilePath) -> tuple[Recogniser, Description]:
    """The model of a checkpoint, in eval mode on the CPU, and its description.

    Raises FoldError if the file is missing, truncated, or no checkpoint of fold.
    """
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise FoldError(f"checkpoint {file}: no such file") from None
    except Exception as error:  # damaged bytes make an unpickler raise nearly anything
        raise FoldError(f"checkpoint {file}: cannot be read, truncated or no checkpoint ({_reason(error)})") from None
    if not isinstance(content, dict) or KEY not in content:
        raise FoldError(f"checkpoint {file}: holds no description of a model; expected one written by `fold fit`")
    try:
        description = Description.from_dict(content[KEY])
        model = description.build()
        weights = {k.removeprefix(PREFIX): v for k, v in content["state_dict"].items() if k.startswith(PREFIX)}
        model.load_state_dict(weights)
    except Exception as error:  # as above: whatever the file says is not trusted to make sense
        raise FoldError(f"checkpoint {file}: its description and weights make no model ({_reason(error)})") from None
    return model.eval(), description


def _reason(error: Exception) -> str:
    """The first line that says something, shortened."""
    lines = [type(error).__name__, *str(error).splitlines()]
    return lines[min(1, len(lines) - 1)].strip()[:200]

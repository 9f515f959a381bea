"""Rivals of a foldable model on the same seams: layers that leave early, and layers shared but trained for one depth.

python -m studies.variants fit --model.network.class_path=studies.rivals.EarlyExit
    --model.sampler=studies.rivals.EveryDepth ...
"""

from __future__ import annotations

import dataclasses
import random
from dataclasses import dataclass

from fold.models import Conformer, Recogniser
from fold.paths import Path, PathSpace
from fold.sampling import PathSampler, StepPaths
from studies.variants import REPEATS, OtherCalls


class PrefixUnfolding(OtherCalls):
    """Of a path it runs as many layers as the path is deep: the first ones, each once."""

    def calls_of(self, path: Path) -> Path:
        return Path(tuple(range(path.depth)))


@dataclass(frozen=True)
class EarlyExit(Conformer):
    """As many physical layers as the deepest path has, twice `num_layers`; a shallower path ends earlier."""

    def build(self, vocab_size: int, sample_rate: int) -> Recogniser:
        model = super().build(vocab_size, sample_rate)
        deeper = dataclasses.replace(self, num_layers=REPEATS * self.num_layers)
        layers = Conformer.build(deeper, vocab_size, sample_rate).unfolding.layers
        model.unfolding = PrefixUnfolding(list(layers), self.checkpoint_activations)
        return model


@dataclass(frozen=True)
class EveryDepth(PathSampler):
    """Trains the canonical path of every depth in every step."""

    def paths(self, space: PathSpace, step: int, progress: float, generator: random.Random) -> StepPaths:
        between = tuple(space.canonical(depth) for depth in space.depths[1:-1])
        return StepPaths(space.deepest, space.seed, between)


@dataclass(frozen=True)
class OneDepth(PathSampler):
    """Trains the deepest path alone."""

    def paths(self, space: PathSpace, step: int, progress: float, generator: random.Random) -> StepPaths:
        return StepPaths(space.deepest)

"""Which paths a training step trains.

The module asks its sampler at every step. A sampler draws only from the generator that it is given, which depends on
the random seed and the step: so every rank, and every resumed run, trains the same paths.
"""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from dataclasses import dataclass

from fold.errors import FoldError
from fold.paths import Path, PathSpace
from fold.registry import Registry


@dataclass(frozen=True)
class StepPaths:
    """The paths of a training step by their roles.

    Attributes:
        deepest: the path that teaches; with `seed` None the only one.
        seed: the path that learns from it.
        sampled: further paths.
    """

    deepest: Path
    seed: Path | None = None
    sampled: tuple[Path, ...] = ()

    @property
    def in_order(self) -> list[Path]:
        """All of them: the deepest, the seed, the sampled ones."""
        return [self.deepest, *([self.seed] if self.seed else []), *self.sampled]


def step_generator(random_seed: int, step: int) -> random.Random:
    """The chance of a step: it depends only on these two, so every rank and every resumed run draws the same."""
    return random.Random(f"fold {random_seed} {step}")


class PathSampler(ABC):
    """Chooses the paths of each training step. Subclasses are frozen dataclasses of plain values.

    A new one is a subclass in any module, named by `model.sampler`; a package offers it as an entry point of the group
    `fold.samplers`.
    """

    @abstractmethod
    def paths(self, space: PathSpace, step: int, progress: float, generator: random.Random) -> StepPaths:
        """The paths of a step.

        Args:
            space: all paths of the model.
            step: number of the update, from 0.
            progress: share of the training updates that are done, 0 to 1.
            generator: depends only on the random seed and the step; the only source of chance.
        """


@dataclass(frozen=True)
class Growth:
    """How the paths of training grow: only the seed at first, then the deepest path gains a layer at a time.

    It saves calls of layers that have not learned anything yet to repeat (`RESULTS.md`). 0 and 0 train all
    paths from the start.

    Args:
        alone: share of the training updates, 0 to 1, during which only the seed is trained.
        grown: share of the training updates after which all paths are trained.

    Raises:
        FoldError: the shares are not in order.
    """

    alone: float = 0.25
    grown: float = 0.6

    def __post_init__(self) -> None:
        if not 0 <= self.alone <= self.grown <= 1:
            raise FoldError(f"growth from {self.alone} to {self.grown}: expected shares with 0 <= alone <= grown <= 1")

    def space(self, whole: PathSpace, progress: float) -> PathSpace:
        """The part of `whole` that is trained at `progress`, a share of the training updates."""
        if progress >= self.grown:
            return whole
        share = max(progress - self.alone, 0.0) / (self.grown - self.alone or 1.0)
        depth = whole.depths[0] + math.ceil(share * (len(whole.depths) - 1))
        return PathSpace(whole.num_layers, whole.max_repeats, depth)  # evenly, whatever the canonical order


@dataclass(frozen=True)
class _GrowingSampler(PathSampler):
    """The two ends of the space as it has grown so far, and paths between them.

    Args:
        num_paths: Paths drawn in each step besides the two ends.
        growth: When the deeper paths join.
    """

    num_paths: int = 1
    growth: Growth = Growth()

    def __post_init__(self) -> None:
        if self.num_paths < 0:
            raise FoldError(f"model.sampler.num_paths is {self.num_paths}: it must be 0 or more")

    def paths(self, space: PathSpace, step: int, progress: float, generator: random.Random) -> StepPaths:
        grown = self.growth.space(space, progress)
        if grown.deepest == grown.seed:
            return StepPaths(grown.deepest)
        return StepPaths(grown.deepest, grown.seed, tuple(self._between(grown, generator)))

    def _between(self, space: PathSpace, generator: random.Random) -> list[Path]:
        """Paths other than the two ends; none where there are no others."""
        ends = {space.seed, space.deepest}
        counts = {d: space.count(d) for d in space.depths if space.count(d) > sum(end.depth == d for end in ends)}
        drawn: list[Path] = []
        while counts and len(drawn) < self.num_paths:
            path = self._path(space, self._depth(counts, generator), generator)
            drawn += [path] if path not in ends else []
        return drawn

    def _path(self, space: PathSpace, depth: int, generator: random.Random) -> Path:
        """A path of a depth."""
        return space.sample(depth, 1, generator)[0]

    @abstractmethod
    def _depth(self, counts: dict[int, int], generator: random.Random) -> int:
        """The depth of a path to draw; counts: of paths, by depth. If the path is an end, both are drawn anew."""


@dataclass(frozen=True)
class DepthFirst(_GrowingSampler):
    """Draws a depth uniformly, then a path of it uniformly, so that each depth is trained alike (arXiv 2505.21237)."""

    def _depth(self, counts: dict[int, int], generator: random.Random) -> int:
        return generator.choice(list(counts))


@dataclass(frozen=True)
class Even(DepthFirst):
    """Draws a depth uniformly, then which layers run once more than the others.

    A layer runs k + 1 times only where all others run k or k + 1 times, which is the rule of arXiv 2505.21237 for more
    than two repeats. Up to two it is DepthFirst.
    """

    def _path(self, space: PathSpace, depth: int, generator: random.Random) -> Path:
        return space.sample_even(depth, generator)


@dataclass(frozen=True)
class Uniform(_GrowingSampler):
    """Draws all paths alike, so that the depths in the middle, which have the most paths, are trained most."""

    def _depth(self, counts: dict[int, int], generator: random.Random) -> int:
        return generator.choices(list(counts), weights=list(counts.values()))[0]


SAMPLERS = Registry(PathSampler, "path sampler", "fold.samplers", home="fold.sampling")

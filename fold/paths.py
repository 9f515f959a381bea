"""Unfolding paths: which physical layer runs at each logical position.

Terms (arXiv 2505.21237): the *seed* runs each of the `num_layers` physical layers once; the *deepest* path has the
greatest depth of the space; a *path* in between repeats some layers. Repeats are adjacent (1 1 2 2 ..., never
1 2 1 2), so a path is fully told by how often each layer runs.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from fold.errors import FoldError

Order = Literal["even", "last"]


@dataclass(frozen=True, order=True)
class Path:
    """An unfolding path. Immutable, hashable and ordered.

    layers: index (from 0) of the physical layer at each logical position.
    The text form counts layers from 1: `Path((0, 0, 1))` is `1-1-2`.
    """

    layers: tuple[int, ...]

    @classmethod
    def from_repeats(cls, repeats: Sequence[int]) -> Path:
        """The path that runs layer i `repeats[i]` times in a row."""
        return cls(tuple(layer for layer, times in enumerate(repeats) for _ in range(times)))

    @classmethod
    def parse(cls, text: str) -> Path:
        """Reads the text form back. Raises FoldError where `text` is no path."""
        if not re.fullmatch(r"[1-9]\d*(-[1-9]\d*)*", text.strip()):
            raise FoldError(f"path {text!r}: expected layer numbers from 1 joined by '-', such as 1-1-2-3")
        return cls(tuple(int(number) - 1 for number in text.strip().split("-")))

    @property
    def depth(self) -> int:
        """Number of layers executed."""
        return len(self.layers)

    def __str__(self) -> str:
        return "-".join(str(layer + 1) for layer in self.layers)


def _even(layers: list[int], number: int) -> list[int]:
    """The last layer of each of `number` equal stretches."""
    return [layers[run * len(layers) // number - 1] for run in range(1, number + 1)]


def _last(layers: list[int], number: int) -> list[int]:
    return layers[len(layers) - number :]


_CANONICAL_ORDERS = {"even": _even, "last": _last}


@dataclass(frozen=True)
class PathSpace:
    """All paths that run each of `num_layers` layers 1 to `max_repeats` times, in order, up to `max_depth`.

    max_repeats: one number for all layers, or one per layer.
    max_depth: the deepest logical depth; None for the sum of `max_repeats`.
    canonical_order: which layers run once more in canonical paths, where not all do: "even" spreads them over the
    layers, "last" takes the last ones.
    Raises FoldError if the numbers contradict one another.
    """

    num_layers: int
    max_repeats: int | tuple[int, ...] = 2
    max_depth: int | None = None
    canonical_order: Order = "even"

    def __post_init__(self) -> None:
        if self.num_layers < 1:
            raise FoldError(f"num_layers is {self.num_layers}: a path space needs at least one layer")
        if len(self.limits) != self.num_layers or min(self.limits) < 1:
            raise FoldError(
                f"max_repeats is {self.max_repeats}: expected one number of at least 1, or {self.num_layers} such "
                f"numbers (one per physical layer)"
            )
        if self.canonical_order not in _CANONICAL_ORDERS:
            raise FoldError(f"canonical_order is {self.canonical_order!r}: expected even or last")
        if self.max_depth is not None and not self.num_layers <= self.max_depth <= sum(self.limits):
            raise FoldError(
                f"max_depth is {self.max_depth}: {self.num_layers} layers with max_repeats {self.max_repeats} reach "
                f"depths {self.num_layers} to {sum(self.limits)}"
            )

    @cached_property
    def limits(self) -> tuple[int, ...]:
        """The most repeats of each layer."""
        if isinstance(self.max_repeats, int):
            return (self.max_repeats,) * self.num_layers
        return tuple(self.max_repeats)

    @property
    def depths(self) -> range:
        """Every depth of the space, shallowest first."""
        return range(self.num_layers, (self.max_depth or sum(self.limits)) + 1)

    @property
    def seed(self) -> Path:
        """Each layer once."""
        return self.canonical(self.depths[0])

    @property
    def deepest(self) -> Path:
        """The canonical path of the greatest depth."""
        return self.canonical(self.depths[-1])

    def __contains__(self, path: Path) -> bool:
        """Whether the path runs every layer, in order, as often as this space allows."""
        repeats = [path.layers.count(layer) for layer in range(self.num_layers)]
        within = all(1 <= times <= limit for times, limit in zip(repeats, self.limits, strict=True))
        return within and path == Path.from_repeats(repeats) and path.depth in self.depths

    def choose(self, depth: int | None = None, path: Path | str | None = None) -> Path:
        """The path meant by a depth (its canonical one), by a path or its text form; the deepest without either.

        Raises FoldError for both together, and for a depth or a path outside the space.
        """
        if depth is not None and path is not None:
            raise FoldError("depth and path exclude each other: give one of the two")
        if path is None:
            return self.canonical(self.depths[-1] if depth is None else depth)
        path = Path.parse(path) if isinstance(path, str) else path
        if path not in self:
            raise FoldError(
                f"path {path}: this model runs layers 1 to {self.num_layers} in order, each 1 to {self.max_repeats} "
                f"times in a row, up to depth {self.depths[-1]}"
            )
        return path

    def canonical(self, depth: int) -> Path:
        """The path that stands for `depth`: all layers run equally often, and those that `canonical_order` says once
        more.

        Raises FoldError for a depth outside the space.
        """
        repeats, extra, roomy = self._level(depth)
        for layer in _CANONICAL_ORDERS[self.canonical_order](roomy, extra):
            repeats[layer] += 1
        return Path.from_repeats(repeats)

    def sample_even(self, depth: int, generator: random.Random) -> Path:
        """A path of `depth` in which a layer runs k + 1 times only where all others run k or k + 1 times, or as often
        as they may: uniformly which layers do.

        Raises FoldError for a depth outside the space.
        """
        repeats, extra, roomy = self._level(depth)
        for layer in generator.sample(roomy, extra):
            repeats[layer] += 1
        return Path.from_repeats(repeats)

    def _level(self, depth: int) -> tuple[list[int], int, list[int]]:
        """How often each layer runs in the most even paths of `depth`, how many run once more, which of them can."""
        self._check_depth(depth)
        runs = range(1, depth + 1)
        even = max(times for times in runs if sum(min(limit, times) for limit in self.limits) <= depth)
        repeats = [min(limit, even) for limit in self.limits]
        return repeats, depth - sum(repeats), [layer for layer, limit in enumerate(self.limits) if limit > even]

    def count(self, depth: int) -> int:
        """Number of paths of `depth`, without listing them."""
        self._check_depth(depth)
        return self._ways[0][depth]

    def paths(self, depth: int) -> Iterator[Path]:
        """All paths of `depth`, in a fixed order."""
        self._check_depth(depth)
        return (self._unrank(depth, rank) for rank in range(self.count(depth)))

    def sample(self, depth: int, num_paths: int, generator: random.Random) -> list[Path]:
        """`num_paths` different paths of `depth`, uniformly; all of them where there are no more."""
        total = self.count(depth)
        ranks: dict[int, None] = {}  # ordered; random.sample cannot take the huge ranges of large spaces
        while len(ranks) < min(num_paths, total):
            ranks[generator.randrange(total)] = None
        return [self._unrank(depth, rank) for rank in ranks]

    def _check_depth(self, depth: int) -> None:
        if depth not in self.depths:
            raise FoldError(f"depth {depth}: this model has depths {self.depths[0]} to {self.depths[-1]}")

    @cached_property
    def _ways(self) -> list[list[int]]:
        """_ways[i][n]: in how many ways layers i.. can share n positions."""
        positions = sum(self.limits)
        ways = [[0] * (positions + 1) for _ in range(self.num_layers + 1)]
        ways[-1][0] = 1
        for layer in reversed(range(self.num_layers)):
            for n in range(positions + 1):
                ways[layer][n] = sum(ways[layer + 1][n - r] for r in range(1, min(self.limits[layer], n) + 1))
        return ways

    def _unrank(self, depth: int, rank: int) -> Path:
        """The path number `rank` of `depth`, in the order in which earlier layers repeat less first."""
        repeats, left = [], depth
        for layer in range(self.num_layers):
            for times in range(1, self.limits[layer] + 1):
                ways = self._ways[layer + 1][left - times] if times <= left else 0
                if rank < ways:
                    break
                rank -= ways
            repeats.append(times)
            left -= times
        return Path.from_repeats(repeats)

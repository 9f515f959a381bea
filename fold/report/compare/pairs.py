"""Significance of the difference between two systems, each at one depth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

from fold.metrics.significance import Bootstrap, Verdict, bootstrap, combined, error_differences, mapsswe, verdict
from fold.report.compare.systems import System
from fold.report.record import triples


@dataclass(frozen=True)
class Node:
    """A system at one executed depth."""

    system: System
    depth: int

    def __str__(self) -> str:
        return f"{self.system.label}, depth {self.depth}" if self.system.foldable else self.system.label

    @property
    def wer(self) -> float:
        """Mean over runs."""
        return fmean(self.system.wers(self.depth))


@dataclass(frozen=True)
class Pair:
    """What may be said of `node` beside `other`; differences are node minus other.

    p_values: of MAPSSWE, a pair of runs each (the first seed of one with the first of the other, and so on);
    p: these combined; interval: of the difference in WER, averaged over the pairs of runs.
    """

    node: Node
    other: Node
    p_values: tuple[float, ...]
    p: float
    interval: Bootstrap
    verdict: Verdict


def compare(node: Node, other: Node, margin: float) -> Pair | None:
    """Tests node against other; None where transcripts are missing. margin: percent of WER that counts as nothing."""
    runs = list(zip(node.system.records, other.system.records, strict=False))
    paths = [(a.canonical[node.depth].path, b.canonical[other.depth].path) for a, b in runs]
    if not all(a.references and b.references for a, b in runs):
        return None
    said = [triples(a, path_a, b, path_b) for (a, b), (path_a, path_b) in zip(runs, paths, strict=True)]
    p_values = tuple(mapsswe(found).p for found in said)
    differences = [fmean(of_runs) for of_runs in zip(*map(error_differences, said), strict=True)]
    interval = bootstrap(differences, [len(reference.split()) for reference, _, _ in said[0]])
    p = combined(p_values)
    return Pair(node, other, p_values, p, interval, verdict(interval.difference, p, interval, margin))


def counterpart(node: Node, systems: Sequence[System], against: System | None) -> Node | None:
    """What a node is held against: the system `against` at its depth (or its deepest, where it has not that depth).

    Without it, a foldable system is held against the one trained for that depth alone, if there is just one.
    """
    if against is not None:
        if node.system is against:
            return None
        return Node(against, node.depth if node.depth in against.depths else against.depths[-1])
    if not node.system.foldable:
        return None
    alone = [system for system in systems if not system.foldable and system.depths == [node.depth]]
    return Node(alone[0], node.depth) if len(alone) == 1 else None


def nodes(systems: Sequence[System]) -> list[Node]:
    """Every system at every depth."""
    return [Node(system, depth) for system in systems for depth in system.depths]


def all_pairs(systems: Sequence[System], margin: float) -> Iterator[Pair]:
    """Every two nodes, where they can be tested."""
    for node, other in combinations(nodes(systems), 2):
        pair = compare(node, other, margin)
        if pair is not None:
            yield pair

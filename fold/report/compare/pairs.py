"""Significance of the difference between two systems, each at one depth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from statistics import fmean

from fold.metrics.significance import Bootstrap, MatchedPairs, Verdict, bootstrap, combined, mapsswe, verdict
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

    tests: MAPSSWE, of every run of one with every run of the other; p: these combined; interval: of the difference in
    mean WER.
    """

    node: Node
    other: Node
    tests: tuple[MatchedPairs, ...]
    p: float
    interval: Bootstrap
    verdict: Verdict


def compare(node: Node, other: Node, margin: float) -> Pair | None:
    """Tests node against other; None where transcripts are missing. margin: percent of WER that counts as nothing."""
    ours, theirs = node.system, other.system
    if not all(record.references for record in (*ours.records, *theirs.records)):
        return None
    tests = tuple(
        mapsswe(triples(a, a.canonical[node.depth].path, b, b.canonical[other.depth].path))
        for a, b in product(ours.records, theirs.records)
    )
    errors = ours.word_errors[node.depth], theirs.word_errors[other.depth]
    interval = bootstrap(*errors, [len(reference.split()) for reference in ours.ordered_references])
    p = combined(tests, interval.difference)
    return Pair(node, other, tests, p, interval, verdict(p, interval, margin))


def counterpart(node: Node, systems: Sequence[System], against: System | None) -> Node | None:
    """What a node is held against: the system `against` at its depth (or its deepest, where it has not that depth).

    Without it, a foldable system is held against the one trained only for that depth, if there is just one.
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

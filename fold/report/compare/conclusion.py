"""What a comparison comes to, in a few sentences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from fold.report.compare.pairs import Node, nodes
from fold.report.compare.systems import System, mean_and_deviation
from fold.report.compare.table import Row, summary

VERDICTS = {  # in the order in which they are told
    "better": "significantly better",
    "worse": "significantly worse",
    "equivalent": "equivalent",
    "no significant difference": "no significant difference",
}


def conclusion(systems: Sequence[System], table: Sequence[Row]) -> list[str]:
    """Sentences for who reads no further. table: of the same systems."""
    lowest = min(nodes(systems), key=lambda node: node.wer)
    foldable = [system for system in systems if system.foldable]
    lines = [] if len(systems) == 1 else [f"Lowest WER: {_wer(lowest)} % ({lowest})."]
    if lowest.system.foldable or len(foldable) == 1:
        lines.append(_over_depths(lowest.system if lowest.system.foldable else foldable[0]))
    for system in systems:
        lines += _verdicts(system, [row for row in table if row.node.system is system])
    if len(foldable) == 1:  # of several, costs are for the table to tell
        lines += [*_stored(systems), *(f"{line}." for line in summary(systems))]
    return lines


def _wer(node: Node) -> str:
    return mean_and_deviation(node.system.wers(node.depth))


def _over_depths(system: System) -> str:
    """What unfolding brings."""
    shallowest, *others = nodes([system])
    best = min(others, key=lambda node: node.wer)
    saved = 100 * (1 - best.wer / shallowest.wer) if shallowest.wer else 0
    brings = f"{saved:.0f} % fewer word errors" if saved > 0 else "no fewer word errors"
    return (
        f"{system.label}: {_wer(shallowest)} % WER at depth {shallowest.depth}, {_wer(best)} % at depth {best.depth}, "
        f"{brings} with the same {system.record.num_params:,} parameters."
    )


def _verdicts(system: System, rows: Sequence[Row]) -> Iterator[str]:
    """How a system does beside its counterparts, by the tests of its rows."""
    found: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        if row.pair:
            found[row.pair.verdict].append(row.node.depth)
    if not found:
        return
    others = list(dict.fromkeys(row.pair.other.system.label for row in rows if row.pair))
    told = [f"{words} at {_depths(found[verdict])}" for verdict, words in VERDICTS.items() if verdict in found]
    beside = others[0] if len(others) == 1 else "the system trained only for that depth"
    yield f"{system.label} beside {beside}: {', '.join(told)}."


def _depths(depths: Sequence[int]) -> str:
    *first, last = map(str, depths)
    return f"depths {', '.join(first)} and {last}" if first else f"depth {last}"


def _stored(systems: Sequence[System]) -> Iterator[str]:
    """How much a foldable system stores beside the systems of one depth together."""
    single = [system for system in systems if not system.foldable]
    together = sum(system.record.num_params for system in single)
    for system in systems:
        if system.foldable and len(single) > 1:
            share = 100 * system.record.num_params / together
            yield (
                f"{system.label} stores {system.record.num_params:,} parameters for {len(system.depths)} depths; the "
                f"{len(single)} individually trained systems together {together:,}, of which that is {share:.0f} %."
            )

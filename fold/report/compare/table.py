"""The comparison as a table, in the manner of Tables 1 and 2 of arXiv 2505.21237."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from fold.report.compare.pairs import Node, Pair, compare, counterpart
from fold.report.compare.systems import System, mean_and_deviation, timed, times_compare
from fold.report.record import RealTime

INT8 = "int8 MB"
MACS = "GMACs per s"
HEADINGS = (
    "system",
    "layers",
    "depth",
    "parameters",
    "change %",
    "stored MB",
    INT8,
    MACS,
    "WER %",
    "CER %",
    "difference [95 %]",
    "p",
    "verdict",
    "RTF",
    "hours",
    "runs",
)


@dataclass(frozen=True)
class Row:
    """One system at one depth.

    pair: its test against its counterpart; most_params: of the largest system; time: None if unknown, or if it does not
    compare with those of other systems.
    """

    node: Node
    pair: Pair | None
    most_params: int
    time: RealTime | None

    def cells(self) -> tuple[str, ...]:
        """Text for each of HEADINGS. What a system has once stands in the row of its first depth."""
        system, depth, record = self.node.system, self.node.depth, self.node.system.record
        first = depth == system.depths[0]
        change = 100 * (record.num_params / self.most_params - 1)
        return (
            system.label if first else "",
            str(record.num_layers) if first else "",
            str(depth),
            f"{record.num_params:,}" if first else "",
            f"{change:+.1f}" if first and change else "",
            _megabytes(record.stored_bytes) if first else "",
            _megabytes(record.int8_bytes) if first else "",
            _macs(system.macs(depth)),
            mean_and_deviation(system.wers(depth)),
            mean_and_deviation(system.cers(depth)),
            _difference(self.pair),
            _p(self.pair),
            _verdict(self.pair),
            _time(self.time),
            _hours(system) if first else "",
            str(len(system.records)) if first else "",
        )


def rows(systems: Sequence[System], against: System | None, margin: float) -> list[Row]:
    """One row per system and depth, tested against its counterpart."""
    most = max(system.record.num_params for system in systems)
    comparable = times_compare(systems)
    found = []
    for system in systems:
        for depth in system.depths:
            node = Node(system, depth)
            other = counterpart(node, systems, against)
            pair = compare(node, other, margin) if other else None
            found.append(Row(node, pair, most, timed(system).of_depths[depth] if comparable else None))
    return found


def used_columns(table: Sequence[Row]) -> list[int]:
    """Numbers of the headings below which anything stands."""
    cells = [row.cells() for row in table]
    return [index for index in range(len(HEADINGS)) if any(row[index] for row in cells)]


def _megabytes(number: int) -> str:
    """Of bytes; nothing if they are unknown."""
    return f"{number / 1e6:.1f}" if number else ""


def _macs(macs: float | None) -> str:
    return "" if macs is None else f"{macs / 1e9:.3g}"


def _difference(pair: Pair | None) -> str:
    if pair is None:
        return ""
    return f"{pair.interval.difference:+.2f} [{pair.interval.low:+.2f}, {pair.interval.high:+.2f}]"


def _p(pair: Pair | None) -> str:
    if pair is None:
        return ""
    return "<.001" if pair.p < 0.001 else f"{pair.p:.3f}"


def _verdict(pair: Pair | None) -> str:
    if pair is None:
        return ""
    return "n.s." if pair.verdict == "no significant difference" else pair.verdict


def _time(time: RealTime | None) -> str:
    return "" if time is None else f"{time.median:.4f} [{time.low:.4f}, {time.high:.4f}]"


def _hours(system: System) -> str:
    found = [record.training.hours for record in system.records if record.training]
    return f"{fmean(found):.2f}" if found else ""


def summary(systems: Sequence[System]) -> list[str]:
    """What one foldable run takes against the runs of systems trained individually for a depth each, one line per
    foldable system; none if these are several of one depth, or runs were trained on several machines."""
    alone = [system for system in systems if not system.foldable and _trained(system)]
    if len({machine for system in systems if _trained(system) for machine in trained_on(system)}) > 1:
        return []
    if len({tuple(system.depths) for system in alone}) < len(alone):
        return []
    lines = []
    for system in systems:
        if not system.foldable or not _trained(system) or len(alone) < 2:
            continue
        ours, theirs = _hours_spent(system), sum(map(_hours_spent, alone))
        lines.append(
            f"{system.label}: one run of {ours:.2f} h for {len(system.depths)} depths; {len(alone)} individually "
            f"trained systems took {theirs:.2f} h ({ours / theirs:.2f} of it); {_clock(system)} time of training steps"
        )
    return lines


def _trained(system: System) -> bool:
    return all(record.training for record in system.records)


def trained_on(system: System) -> list[str]:
    """The machines of its runs, by their devices."""
    return list(dict.fromkeys(r.training.device or r.device for r in system.records if r.training))


def _clock(system: System) -> str:
    """On a CPU what else runs there must not count."""
    return "processor" if trained_on(system)[0].endswith("threads") else "device"


def _hours_spent(system: System) -> float:
    """Of all processes of a run; the mean over runs."""
    name = "cpu_hours" if _clock(system) == "processor" else "hours"
    return fmean(getattr(r.training, name) * r.training.processes for r in system.records if r.training)


def notes(table: Sequence[Row], margin: float) -> list[str]:
    """What the columns rest on."""
    record = table[0].node.system.record
    lines = [f"{record.size}; WER of canonical paths."]
    systems = list(dict.fromkeys(row.node.system for row in table))
    if len({system.decoding for system in systems}) > 1:
        lines.append(f"Decoding: {'; '.join(f'{system.label}: {system.decoding}' for system in systems)}.")
    if any(len(system.records) > 1 for system in systems):
        lines.append("Of several runs: mean ± standard deviation.")
    if any(system.record.int8_bytes for system in systems):
        lines.append(f"{INT8}: of the weights that `fold export --storage=int8` writes, without the graph beside them.")
    if any(system.record.macs for system in systems):
        lines.append(
            f"{MACS}: billions of multiply-accumulates for a second of audio, counted over 10 s, from the waveform to "
            "the CTC head."
        )
    tested = [row.pair for row in table if row.pair]
    if tested:
        lines.append(
            "difference: mean WER minus that of the counterpart, with the 95 % interval of the paired bootstrap over "
            "utterances and runs. p: MAPSSWE, of several runs twice the median over every run of one with every run of "
            f"the other. Verdict at 5 %; equivalent: within {margin:g} % of WER; n.s.: neither significant nor shown "
            "to be equivalent."
        )
        lines.append(f"Counterparts: {'; '.join(dict.fromkeys(str(pair.other) for pair in tested))}.")
    return [*lines, *_notes_on_times(systems)]


def _notes_on_times(systems: Sequence[System]) -> list[str]:
    lines = []
    if times_compare(systems):
        lines.append(
            f"RTF: real-time factor on {timed(systems[0]).device}, an utterance at a time, measured in turns: median "
            "[middle half of the utterances]."
        )
    elif any(record.real_time_factors for system in systems for record in system.records):
        lines.append(
            "RTF (real-time factor) is not shown: each system was timed by itself, under whatever load there was then; "
            "--time=true times them in turns."
        )
    trained = [system for system in systems if _trained(system)]
    machines = list(dict.fromkeys(machine for system in trained for machine in trained_on(system)))
    if machines:
        differ = "" if len(machines) == 1 else ", so hours are not comparable"
        lines.append(f"hours: mean wall time of training steps, on {'; '.join(machines)}{differ}.")
    for system in trained:
        updates = [record.training.updates for record in system.records if record.training]
        if min(updates) < max(updates):
            lines.append(f"{system.label}: its runs took {min(updates):,} to {max(updates):,} updates.")
    return lines

"""The comparison as a table (in the manner of Tables 1 and 2 of arXiv 2505.21237), in text, CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import fmean

from fold.report.compare.pairs import Node, Pair, compare, counterpart
from fold.report.compare.systems import System, mean_and_deviation

HEADINGS = (
    "system",
    "layers",
    "depth",
    "parameters",
    "change %",
    "stored MB",
    "WER %",
    "CER %",
    "difference [95 %]",
    "p",
    "verdict",
    "RTF",
    "hours",
    "runs",
)
CSV_COLUMNS = (
    "system",
    "run",
    "num_layers",
    "depth",
    "num_params",
    "stored_bytes",
    "path",
    "wer",
    "cer",
    "counterpart",
    "p",
    "verdict",
)
LEFT = (HEADINGS.index("system"), HEADINGS.index("verdict"))
UNITS = {"change %": "%", "stored MB": "MB", "hours": "h", "runs": "runs"}
LATEX = str.maketrans({"%": r"\%", "_": r"\_", "±": r"$\pm$", "#": r"\#", "&": r"\&"})


@dataclass(frozen=True)
class Row:
    """One system at one depth. pair: its test against its counterpart; most_params: of the largest system."""

    node: Node
    pair: Pair | None
    most_params: int

    def cells(self) -> tuple[str, ...]:
        """Text for each of HEADINGS. What a system has once stands in the row of its first depth."""
        system, depth, record = self.node.system, self.node.depth, self.node.system.record
        first = depth == system.depths[0]
        change = 100 * (record.num_params / self.most_params - 1)
        factor = system.real_time_factor(depth)
        return (
            system.label if first else "",
            str(record.num_layers) if first else "",
            str(depth),
            f"{record.num_params:,}" if first else "",
            f"{change:+.1f}" if first and change else "",
            f"{record.stored_bytes / 1e6:.1f}" if first and record.stored_bytes else "",
            mean_and_deviation(system.wers(depth)),
            mean_and_deviation(system.cers(depth)),
            _difference(self.pair),
            _p(self.pair),
            _verdict(self.pair),
            "" if factor is None else f"{factor:.3f}",
            _hours(system) if first else "",
            str(len(system.records)) if first else "",
        )


def rows(systems: Sequence[System], against: System | None, margin: float) -> list[Row]:
    """One row a system and depth, tested against its counterpart."""
    most = max(system.record.num_params for system in systems)
    found = []
    for system in systems:
        for depth in system.depths:
            node = Node(system, depth)
            other = counterpart(node, systems, against)
            found.append(Row(node, compare(node, other, margin) if other else None, most))
    return found


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


def _hours(system: System) -> str:
    found = [record.training.hours for record in system.records if record.training]
    return f"{fmean(found):.2f}" if found else ""


def summary(systems: Sequence[System]) -> list[str]:
    """What one foldable run takes against the runs of individually trained systems, a line a foldable system."""
    alone = [system for system in systems if not system.foldable and _trained(system)]
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


def _clock(system: System) -> str:
    """On a CPU what else runs there must not count."""
    return "processor" if system.record.device.endswith("threads") else "device"


def _hours_spent(system: System) -> float:
    """Of all processes of a run; the mean over runs."""
    name = "cpu_hours" if _clock(system) == "processor" else "hours"
    return fmean(getattr(r.training, name) * r.training.processes for r in system.records if r.training)


def notes(table: Sequence[Row], margin: float) -> list[str]:
    """What the columns rest on."""
    record = table[0].node.system.record
    lines = [f"{record.rows[0].words:,} words in {record.rows[0].sentences:,} utterances; WER of canonical paths."]
    tested = [row.pair for row in table if row.pair]
    if tested:
        lines.append(
            "difference: WER minus that of the counterpart, with the paired bootstrap's 95 % interval. p: MAPSSWE, of "
            f"several runs twice the median. Verdict at 5 %; equivalent: within {margin:g} % of WER; n.s.: neither "
            "significant nor shown to be equivalent."
        )
        lines.append(f"Counterparts: {'; '.join(dict.fromkeys(str(pair.other) for pair in tested))}.")
    return lines


def to_terminal(table: Sequence[Row]) -> list[str]:
    """Lines of at most 80 characters, unless a label is long: a heading a system, then a line a depth."""
    lines = []
    for row in table:
        cells = dict(zip(HEADINGS, row.cells(), strict=True))
        if cells["system"]:
            facts = [f"{cells['layers']} physical layers", f"{cells['parameters']} parameters"]
            facts += [f"{cells[name]} {unit}" for name, unit in UNITS.items() if cells[name]]
            lines += ["", cells["system"], f"  {', '.join(facts)}"]
        line = f"  depth {cells['depth']:>2}  WER {cells['WER %']:<13}"
        if row.pair:
            line += f" {cells['difference [95 %]']:<22} p {cells['p']:<5}  {cells['verdict']}"
        lines.append(line.rstrip())
    return lines


def to_markdown(table: Sequence[Row], without: Collection[str] = ()) -> str:
    """without: headings to leave out."""
    kept = [index for index in _used_columns(table) if HEADINGS[index] not in without]
    lines = [[HEADINGS[i] for i in kept], ["---" if i in LEFT else "---:" for i in kept]]
    lines += [[row.cells()[i] for i in kept] for row in table]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def to_latex(table: Sequence[Row]) -> str:
    """A tabular for the package booktabs."""
    kept = _used_columns(table)
    lines = [r"\begin{tabular}{" + "".join("l" if i in LEFT else "r" for i in kept) + "}", r"\toprule"]
    lines += [" & ".join(HEADINGS[i].translate(LATEX) for i in kept) + r" \\", r"\midrule"]
    for row in table:
        cells = row.cells()
        if cells[0] and row is not table[0]:
            lines.append(r"\midrule")
        lines.append(" & ".join(cells[i].translate(LATEX) for i in kept) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def to_csv(table: Sequence[Row]) -> str:
    """Numbers in full precision, a line a system, depth and run."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for row in table:
        for run, record in enumerate(row.node.system.records):
            swept, pair = record.canonical[row.node.depth], row.pair
            values = [row.node.system.label, run + 1, record.num_layers, swept.depth, record.num_params]
            values += [record.stored_bytes, swept.path, swept.wer, swept.cer]
            tested = pair is not None and run < len(pair.p_values)
            writer.writerow(
                [*values, *([str(pair.other), pair.p_values[run], pair.verdict] if tested else ["", "", ""])]
            )
    return stream.getvalue()


def pairs_to_csv(pairs: Sequence[Pair]) -> str:
    """Every test in full precision."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["a", "b", "wer_a", "wer_b", "difference", "low", "high", "p_mapsswe", "p_bootstrap", "verdict"])
    for pair in pairs:
        found = pair.interval
        values = [
            str(pair.node),
            str(pair.other),
            pair.node.wer,
            pair.other.wer,
            found.difference,
            found.low,
            found.high,
        ]
        writer.writerow([*values, pair.p, found.p, pair.verdict])
    return stream.getvalue()


def _used_columns(table: Sequence[Row]) -> list[int]:
    cells = [row.cells() for row in table]
    return [index for index in range(len(HEADINGS)) if any(row[index] for row in cells)]

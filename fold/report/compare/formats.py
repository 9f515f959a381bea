"""The comparison as text: for a terminal, and in Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Sequence

from fold.report.compare.pairs import Pair
from fold.report.compare.systems import System
from fold.report.compare.table import HEADINGS, INT8, MACS, Row, used_columns

LEFT = (HEADINGS.index("system"), HEADINGS.index("verdict"))
UNITS = {"change %": "%", "stored MB": "MB", INT8: "MB in int8", "hours": "h", "runs": "runs"}
LATEX = str.maketrans(
    {char: rf"\{char}" for char in "%_#&${}"}
    | {"±": r"$\pm$", "<": r"$<$", ">": r"$>$", "|": r"$|$"}
    | {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}"}
)
MARKDOWN = str.maketrans({char: rf"\{char}" for char in r"\|<*_`[$"})  # of labels
CSV_COLUMNS = (
    "system",
    "run",
    "num_layers",
    "depth",
    "num_params",
    "stored_bytes",
    "int8_bytes",
    "macs_per_second",
    "path",
    "wer",
    "cer",
    "counterpart",
    "p",
    "verdict",
)
PAIR_COLUMNS = (
    "a",
    "b",
    "runs_a",
    "runs_b",
    "wer_a",
    "wer_b",
    "difference",
    "low",
    "high",
    "fewest_segments",
    "p_mapsswe",
    "p_bootstrap",
    "verdict",
)


def to_terminal(table: Sequence[Row]) -> list[str]:
    """Lines of at most 80 characters, unless a label is long: a heading per system, then a line per depth."""
    lines = []
    for row in table:
        cells = dict(zip(HEADINGS, row.cells(), strict=True))
        if cells["system"]:
            facts = [f"{cells['layers']} physical layers", f"{cells['parameters']} parameters"]
            facts += [f"{cells[name]} {unit}" for name, unit in UNITS.items() if cells[name]]
            lines += ["", cells["system"], f"  {', '.join(facts)}", *_macs(row.node.system)]
        line = f"  depth {cells['depth']:>2}  WER {cells['WER %']:<13}"
        if row.pair:
            line += f" {cells['difference [95 %]']:<22} p {cells['p']:<5}  {cells['verdict']}"
        lines.append(line.rstrip())
    return lines


def _macs(system: System) -> list[str]:
    """Those of the shallowest and the deepest depth, if they are known."""
    ends = [system.macs(depth) for depth in dict.fromkeys((system.depths[0], system.depths[-1]))]
    known = [f"{macs / 1e9:.3g}" for macs in ends if macs is not None]
    return [f"  {' to '.join(known)} {MACS}"] if known else []


def to_markdown(table: Sequence[Row], without: Collection[str] = ()) -> str:
    """without: headings to leave out."""
    kept = [index for index in used_columns(table) if HEADINGS[index] not in without]
    lines = [[HEADINGS[i] for i in kept], ["---" if i in LEFT else "---:" for i in kept]]
    shown = [(label.translate(MARKDOWN), *others) for label, *others in (row.cells() for row in table)]
    lines += [[cells[i] for i in kept] for cells in shown]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def to_latex(table: Sequence[Row]) -> str:
    """A tabular for the package booktabs."""
    kept = used_columns(table)
    lines = [r"\begin{tabular}{" + "".join("l" if i in LEFT else "r" for i in kept) + "}", r"\toprule"]
    lines += [" & ".join(HEADINGS[i].translate(LATEX) for i in kept) + r" \\", r"\midrule"]
    for row in table:
        cells = row.cells()
        if cells[0] and row is not table[0]:
            lines.append(r"\midrule")
        lines.append(" & ".join(cells[i].translate(LATEX) for i in kept) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def to_csv(table: Sequence[Row]) -> str:
    """Numbers in full precision, a line per system, depth and run; p and verdict are those of the system."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for row in table:
        for run, record in enumerate(row.node.system.records):
            swept, pair = record.canonical[row.node.depth], row.pair
            values = [row.node.system.label, run + 1, record.num_layers, swept.depth, record.num_params]
            values += [record.stored_bytes, record.int8_bytes or "", record.macs.get(swept.path, "")]
            values += [swept.path, swept.wer, swept.cer]
            writer.writerow([*values, *([str(pair.other), pair.p, pair.verdict] if pair else ["", "", ""])])
    return stream.getvalue()


def pairs_to_csv(pairs: Sequence[Pair]) -> str:
    """Every test in full precision."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(PAIR_COLUMNS)
    for pair in pairs:
        found, runs = pair.interval, [len(node.system.records) for node in (pair.node, pair.other)]
        values = [str(pair.node), str(pair.other), *runs, pair.node.wer, pair.other.wer]
        values += [found.difference, found.low, found.high, min(test.segments for test in pair.tests)]
        writer.writerow([*values, pair.p, found.p, pair.verdict])
    return stream.getvalue()

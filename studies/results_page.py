"""The tables and figures of RESULTS.md and docs/results/, made of the records that the studies left."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
from matplotlib.figure import Figure

from fold.metrics.significance import bootstrap
from fold.report.compare import figures, formats
from fold.report.compare import table as tables
from fold.report.compare.systems import System, group, mean_and_deviation
from fold.report.record import Record
from fold.report.sweep import SweepRow
from studies.runs import Run, from_one_source

PAGE = Path("RESULTS.md")
TABLES = Path("docs/results")
MARGIN = 0.5  # of WER, within which systems count as equivalent
LEFT_OUT = ("RTF", "hours")  # runs shared the machine, and processor time says more
DIFFERENCE = "difference [95 %]"  # a heading of the comparison
FACTS = ("parameters", "updates", "minutes", "processor minutes", "date")


def update_pages(parts: Mapping[Path, Mapping[str, str]]) -> None:
    """Puts each part between its marks in its page; what is empty stays as it was. Ends the process if a mark is
    missing."""
    for page, of_page in parts.items():
        text = page.read_text(encoding="utf-8")
        for name, content in of_page.items():
            text = filled(text, name, content)
        page.write_text(text, encoding="utf-8")


def filled(text: str, name: str, content: str) -> str:
    """The text with `content` between the comments that begin and end the part `name`."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    if not content:
        return text
    if begin not in text or end not in text:
        sys.exit(f"no place for the part '{name}': expected {begin} and {end} in the page")
    return re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: f"{begin}\n{content}\n{end}", text, flags=re.S)


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def rates_table(runs: Sequence[Run]) -> str:
    rows = [[run.name, run.corpus, f"{mean_wer(run, 'dev'):.2f}", *facts([run])] for run in runs]
    return markdown(["system", "corpus", "dev WER %, mean over depths", *FACTS], rows) if rows else ""


def mean_wer(run: Run, split: str) -> float:
    """Mean WER of the canonical paths."""
    return fmean(row.wer for row in run.record(split).canonical.values())


def facts(runs: Sequence[Run]) -> list[str]:
    """For each of FACTS, the mean where runs differ; empty times of what was not trained."""
    records = [run.record("test") for run in runs]
    times = [record.training for record in records if record.training]
    dates = sorted({record.date for record in records})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    if not times:
        return [f"{records[0].num_params:,}", "0", "", "", when]
    minutes = (fmean(60 * getattr(t, name) for t in times) for name in ("hours", "cpu_hours"))
    return [f"{records[0].num_params:,}", f"{times[0].updates:,}", *(f"{spent:.1f}" for spent in minutes), when]


def comparison(runs: Sequence[Run], against: str | None = None, margin: float = MARGIN) -> str:
    """Runs on one test set: table, notes and facts. against: the system that all are tested against (default:
    each depth against the individually trained system of that depth)."""
    if not runs:
        return ""
    from_one_source(runs)
    systems, named = systems_of(runs), by_name(runs)
    trained = [[name, seeds(some), *facts(some)] for name, some in named.items()]
    table = tables.rows(systems, next((system for system in systems if system.label == against), None), margin)
    notes = [line for line in tables.notes(table, margin) if not line.startswith(LEFT_OUT)]
    return "\n\n".join(
        [
            formats.to_markdown(table, without=LEFT_OUT).strip(),
            "\n".join(f"- {line}" for line in [*tables.summary(systems), *notes]),
            markdown(["system", "random seeds", *FACTS], trained),
        ]
    )


def claim_table(claims: Mapping[str, Sequence[Run]]) -> str:
    """Part A in short: by depth the foldable system beside its counterpart, for each corpus."""
    tested = {
        corpus: [row for row in tables.rows(systems_of(runs), None, MARGIN) if row.pair]
        for corpus, runs in claims.items()
        if runs
    }
    if not tested:
        return ""
    what = ("foldable", "individually trained", DIFFERENCE)
    rows = [
        [str(found[0].node.depth), *(cell for row in found for cell in beside_counterpart(row))]
        for found in zip(*tested.values(), strict=False)
    ]
    return markdown(["depth", *(f"{corpus}: {heading}" for corpus in tested for heading in what)], rows)


def beside_counterpart(row: tables.Row) -> list[str]:
    """WER of a tested row, of its counterpart, and their difference."""
    wers = [mean_and_deviation(node.system.wers(node.depth)) for node in (row.pair.node, row.pair.other)]
    return [*wers, row.cells()[tables.HEADINGS.index(DIFFERENCE)]]


def figure(runs: Sequence[Run], name: str, title: str) -> str:
    """WER against depth, drawn beside the pages of tables in a file of that name."""
    return drawn(figures.wer_by_depth, "WER against executed depth", runs, name, title)


def drawn(draw: Callable[..., Figure], words: str, runs: Sequence[Run], name: str, title: str) -> str:
    """Another figure likewise. draw: of `fold.report.compare.figures`; words: for who cannot see it."""
    if not runs:
        return ""
    file = TABLES / f"{name.replace(' ', '-')}.png"
    draw(systems_of(runs), title).savefig(file)
    return f"![{words}]({file.name})"


def systems_of(runs: Sequence[Run]) -> list[System]:
    return group([run.record("test") for run in runs], [run.name for run in runs])


def by_name(runs: Sequence[Run]) -> dict[str, list[Run]]:
    return {run.name: [other for other in runs if other.name == run.name] for run in runs}


def seeds(runs: Sequence[Run]) -> str:
    return ", ".join(str(run.seed) for run in runs)


def variants_table(variants: Mapping[str, Sequence[Run]]) -> str:
    """Part B or C: on dev and test the WER of the seed, the mean over paths and the deepest, one value per run, and
    how far the mean over canonical depths is from that of the first variant."""
    variants = {name: finished for name, runs in variants.items() if (finished := [r for r in runs if r.finished])}
    if not variants:
        return ""
    first = next(iter(variants.values()))
    headings = ["variant"]
    for split in ("dev", "test"):
        headings += [f"{split}: {what}" for what in ("seed", "mean over paths", "deepest", "difference [95 %]")]
    rows = []
    for name, runs in variants.items():
        cells = [
            cell
            for split in ("dev", "test")
            for cell in (*three_wers(runs, split), "" if runs is first else over_depths(runs, first, split))
        ]
        rows.append([name, *cells, *facts(runs)])
    return markdown([*headings, *FACTS], rows)


def variants_in_short(variants: Mapping[str, Mapping[str, Sequence[Run]]]) -> str:
    """Part B or C: for each corpus and split how far the mean over canonical depths is from that of the first
    variant."""
    rows: dict[str, dict[str, str]] = {}
    columns = [f"{corpus}, {split}" for corpus in variants for split in ("dev", "test")]
    for corpus, of_corpus in variants.items():
        done = {name: some for name, runs in of_corpus.items() if (some := [run for run in runs if run.finished])}
        first = next(iter(done.values()), None)
        for name, runs in list(done.items())[1:]:
            for split in ("dev", "test"):
                rows.setdefault(name, {})[f"{corpus}, {split}"] = over_depths(runs, first, split)
    if not rows:
        return ""
    return markdown(["variant", *columns], [[name, *(of.get(c, "") for c in columns)] for name, of in rows.items()])


def three_wers(runs: Sequence[Run], split: str) -> list[str]:
    """WER of the seed, mean over all paths, of the deepest: one value per run."""
    records = [run.record(split) for run in runs]
    canonical = [list(record.canonical.values()) for record in records]
    values = (
        [rows[0].wer for rows in canonical],
        [fmean(row.wer for row in record.rows) for record in records],
        [rows[-1].wer for rows in canonical],
    )
    return [" / ".join(f"{wer:.1f}" for wer in of_runs) for of_runs in values]


def over_depths(runs: Sequence[Run], others: Sequence[Run], split: str) -> str:
    """Difference of the mean WER over canonical depths, with the interval of the bootstrap over utterances and runs."""
    system, other = (System("", tuple(run.record(split) for run in some)) for some in (runs, others))
    errors, others_errors = (np.sum(list(some.word_errors.values()), axis=0) for some in (system, other))
    words = [len(system.depths) * len(text.split()) for text in system.ordered_references]
    interval = bootstrap(errors, others_errors, words)
    return f"{interval.difference:+.2f} [{interval.low:+.2f}, {interval.high:+.2f}]"


def paths_table(runs: Mapping[str, Sequence[Run]]) -> str:
    """Dev WER of every path, one column per corpus; the best of each depth first, by the mean over corpora."""
    records = {corpus: [run.record("dev") for run in some] for corpus, some in runs.items() if some}
    if not records:
        return ""
    wers: dict[SweepRow, list[list[float]]] = {}
    for row in next(iter(records.values()))[0].rows:
        wers[row] = [[of_path(record, row.path).wer for record in some] for some in records.values()]
    rows = [
        [f"**{row.path}**" if row.canonical else row.path, str(row.depth), *map(mean_and_deviation, found)]
        for row, found in sorted(wers.items(), key=lambda item: (item[0].depth, fmean(map(fmean, item[1]))))
    ]
    return markdown(["path (**canonical**)", "depth", *(f"{corpus}: dev WER %" for corpus in records)], rows)


def of_path(record: Record, path: str) -> SweepRow:
    return next(row for row in record.rows if row.path == path)


def beyond_table(runs: Sequence[Run]) -> str:
    """Dev WER at depths of training and beyond."""
    if not runs:
        return ""
    records = [run.record("beyond") for run in runs]
    depths = list(records[0].canonical)
    cells = [mean_and_deviation([record.canonical[depth].wer for record in records]) for depth in depths]
    return markdown(["depth", *map(str, depths)], [["dev WER %, canonical path", *cells]])

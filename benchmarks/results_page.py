"""The tables and figures of RESULTS.md, made of the records that the study left."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean

from benchmarks import runs as files
from benchmarks.runs import Run
from fold.report.compare import figures
from fold.report.compare import table as tables
from fold.report.compare.systems import System, group, mean_and_deviation

MARGIN = 0.5
CORPORA = ("fsdd", "commands")


def update_page(
    page: Path,
    searches: Sequence[Run],
    claim: Callable[[str], list[Run]],
    varied: Callable[[str], dict[str, list[Run]]],
    deeper: Callable[[], list[Run]],
) -> None:
    """Puts each part's tables between its marks in the page; parts without a finished run stay as they are."""
    text = page.read_text(encoding="utf-8")
    text = filled(text, "learning rates", rates_table([run for run in searches if run.finished]))
    if all(run.finished for run in searches):  # what the others train depends on it
        text = parts(text, claim, varied, deeper)
    page.write_text(text, encoding="utf-8")


def parts(
    text: str,
    claim: Callable[[str], list[Run]],
    varied: Callable[[str], dict[str, list[Run]]],
    deeper: Callable[[], list[Run]],
) -> str:
    for corpus in CORPORA:
        text = filled(text, f"A {corpus}", claim_tables(corpus, [run for run in claim(corpus) if run.finished]))
    for part in "BC":
        finished = {name: [run for run in runs if run.finished] for name, runs in varied(part).items()}
        text = filled(text, part, variants_table({name: runs for name, runs in finished.items() if runs}))
    return filled(text, "beyond", beyond_table([run for run in deeper() if run.file("beyond").exists()]))


def filled(text: str, name: str, content: str) -> str:
    """The text with `content` between the comments that begin and end the part `name`."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    if not content:
        return text
    return re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: f"{begin}\n{content}\n{end}", text, flags=re.S)


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def rates_table(runs: Sequence[Run]) -> str:
    rows = [[run.name, f"{mean_wer(run, 'dev'):.2f}", *facts([run])] for run in runs]
    return markdown(["system", "dev WER %, mean over depths", *FACTS], rows) if rows else ""


def mean_wer(run: Run, split: str) -> float:
    return fmean(row.wer for row in run.record(split).canonical.values())


FACTS = ("parameters", "updates", "minutes", "of processor", "date")


def facts(runs: Sequence[Run]) -> list[str]:
    """For each of FACTS, the mean where runs differ."""
    records = [run.record("test") for run in runs]
    wall, processor = (fmean(60 * getattr(r.training, name) for r in records) for name in ("hours", "cpu_hours"))
    dates = sorted({record.date for record in records})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    return [f"{records[0].num_params:,}", f"{records[0].training.updates:,}", f"{wall:.1f}", f"{processor:.1f}", when]


def claim_tables(corpus: str, runs: Sequence[Run]) -> str:
    """Part A on one corpus: the comparison, its notes and its figure."""
    if not runs:
        return ""
    systems = group([run.record("test") for run in runs], [run.name for run in runs])
    table = tables.rows(systems, None, MARGIN)
    file = files.RESULTS / f"{runs[0].study}-{corpus}.png"
    figures.wer_by_depth(systems, f"{corpus}: WER on the test split").savefig(file)
    lines = [*tables.summary(systems), *tables.notes(table, MARGIN)]
    image = f"![WER against executed depth]({file.relative_to(files.RESULTS.parent.parent)})"
    shown = markdown(["system", *FACTS], [[s.label, *facts(of_system(s, runs))] for s in systems])
    return "\n\n".join([tables.to_markdown(table).strip(), "\n".join(f"- {line}" for line in lines), image, shown])


def of_system(system: System, runs: Sequence[Run]) -> list[Run]:
    return [run for run in runs if run.name == system.label]


def variants_table(variants: dict[str, list[Run]]) -> str:
    """Part B or C: dev and test WER of the shallowest and the deepest depth and the mean over all paths."""
    if not variants:
        return ""
    headings = ["variant"]
    headings += [f"{split}: {what}" for split in ("dev", "test") for what in ("seed", "mean over paths", "deepest")]
    rows = [
        [name, *(cell for split in ("dev", "test") for cell in three_wers(runs, split)), *facts(runs)]
        for name, runs in variants.items()
    ]
    return markdown([*headings, *FACTS], rows)


def three_wers(runs: Sequence[Run], split: str) -> list[str]:
    """WER of the seed, mean over all paths, of the deepest: a value a run."""
    records = [run.record(split) for run in runs]
    canonical = [list(record.canonical.values()) for record in records]
    values = (
        [rows[0].wer for rows in canonical],
        [fmean(row.wer for row in record.rows) for record in records],
        [rows[-1].wer for rows in canonical],
    )
    return [" / ".join(f"{wer:.1f}" for wer in of_runs) for of_runs in values]


def beyond_table(runs: Sequence[Run]) -> str:
    """Dev WER at depths of training and beyond."""
    if not runs:
        return ""
    records = [run.record("beyond") for run in runs]
    depths = list(records[0].canonical)
    cells = [mean_and_deviation([record.canonical[depth].wer for record in records]) for depth in depths]
    return markdown(["depth", *map(str, depths)], [["dev WER %, canonical path", *cells]])

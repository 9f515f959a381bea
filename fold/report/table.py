"""A depth sweep as a table, for the terminal and for Markdown."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table

from fold.report.sweep import GREEDY, DepthSummary, SweepRow, by_subset, searched, summarise

HEADINGS = ("depth", "WER %", "mean WER %", "min-max", "CER %", "paths", "parameters")


def sweep_table(rows: Sequence[SweepRow], title: str = "") -> RenderableType:
    """One line per depth, for a `rich` console, the lowest WER in bold; a table per subset, where there are several.

    WER and CER are those of the canonical path, mean and range those of all evaluated paths of the depth, which are
    decoded alike.
    """
    subsets = by_subset(rows)
    if len(subsets) < 2:
        return _table(rows, title)
    return Group(*(_table(of_subset, f"{title}, {subset}") for subset, of_subset in subsets.items()))


def _table(rows: Sequence[SweepRow], title: str) -> Table:
    summaries = summarise(rows)
    best = min((summary.canonical.wer for summary in summaries if summary.canonical), default=None)
    table = Table(title=title, caption=caption(rows), caption_justify="left")
    for heading in HEADINGS:
        table.add_column(heading, justify="right")
    for summary in summaries:
        is_best = summary.canonical is not None and summary.canonical.wer == best
        table.add_row(*_cells(summary), style="bold" if is_best else None)
    return table


def to_markdown(rows: Sequence[SweepRow]) -> str:
    """The same tables in Markdown, each ending in a line feed, below the name of its subset where there are several."""
    subsets = by_subset(rows)
    if len(subsets) < 2:
        return _markdown(rows)
    return "\n".join(f"{subset}:\n\n{_markdown(of_subset)}" for subset, of_subset in subsets.items())


def _markdown(rows: Sequence[SweepRow]) -> str:
    lines = [HEADINGS, ("---:",) * len(HEADINGS), *map(_cells, summarise(rows))]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines) + f"\n{caption(rows)}\n"


def caption(rows: Sequence[SweepRow]) -> str:
    """What the numbers of one subset rest on, in one line."""
    if not rows:
        return "no path was evaluated"
    otherwise = searched(rows)
    ways = f", {otherwise}; mean and range: all paths, {GREEDY}" if otherwise else ""
    return f"WER and CER: canonical path{ways}; {rows[0].words:,} words in {rows[0].sentences:,} utterances"


def _cells(summary: DepthSummary) -> tuple[str, ...]:
    canonical = summary.canonical
    return (
        str(summary.depth),
        f"{canonical.wer:.2f}" if canonical else "-",
        f"{summary.mean:.2f}",
        f"{summary.best:.2f}-{summary.worst:.2f}" if summary.num_paths > 1 else "",
        f"{canonical.cer:.2f}" if canonical else "-",
        str(summary.num_paths),
        f"{summary.num_params:,}",
    )

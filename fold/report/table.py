"""A depth sweep as a table, for the terminal and for Markdown."""

from collections.abc import Collection, Sequence

from rich.table import Table

from fold.report.sweep import GREEDY, DepthSummary, SweepRow, by_subset, searched, summarise

SUBSET = "subset"
HEADINGS = ("depth", "WER %", "mean WER %", "min-max", "CER %", "paths", "parameters")


def sweep_table(rows: Sequence[SweepRow], title: str | None = None) -> Table:
    """One line per depth, for a `rich` console, the lowest WER in bold; a section per subset, where there are several.

    WER and CER are those of the canonical path, mean and range those of all evaluated paths of the depth, which are
    decoded alike.
    """
    subsets = by_subset(rows)
    table = Table(title=title, caption=caption(rows), caption_justify="left")
    for heading in _headings(subsets):
        table.add_column(heading, justify="left" if heading == SUBSET else "right")
    for subset, of_subset in subsets.items():
        summaries = summarise(of_subset)
        best = min((summary.canonical.wer for summary in summaries if summary.canonical), default=None)
        for summary in summaries:
            is_best = summary.canonical is not None and summary.canonical.wer == best
            table.add_row(*_named(subset, subsets, _cells(summary)), style="bold" if is_best else None)
        table.add_section()
    return table


def to_markdown(rows: Sequence[SweepRow]) -> str:
    """The same table in Markdown, ending in a line feed."""
    subsets = by_subset(rows)
    headings = _headings(subsets)
    lines = [headings, ["---" if heading == SUBSET else "---:" for heading in headings]]
    for subset, of_subset in subsets.items():
        lines += [_named(subset, subsets, _cells(summary)) for summary in summarise(of_subset)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines) + f"\n{caption(rows)}\n"


def caption(rows: Sequence[SweepRow]) -> str:
    """What the numbers of a sweep rest on, in one line."""
    if not rows:
        return "no path was evaluated"
    subsets = by_subset(rows)
    sizes = [
        f"{of_subset[0].words:,} words in {of_subset[0].sentences:,} utterances"
        + (f" of {subset}" if len(subsets) > 1 else "")
        for subset, of_subset in subsets.items()
    ]
    otherwise = searched(rows)
    ways = f", {otherwise}; mean and range: all paths, {GREEDY}" if otherwise else ""
    return f"WER and CER: canonical path{ways}; {', '.join(sizes)}"


def _headings(subsets: Collection[str]) -> tuple[str, ...]:
    return (SUBSET, *HEADINGS) if len(subsets) > 1 else HEADINGS


def _named(subset: str, subsets: Collection[str], cells: tuple[str, ...]) -> tuple[str, ...]:
    """The cells of a depth, with the subset before them where there are several."""
    return (subset, *cells) if len(subsets) > 1 else cells


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

"""The depth sweep as a figure, in the manner of Figure 2 of arXiv 2505.21237."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fold.report import style
from fold.report.sweep import GREEDY, DepthSummary, SweepRow, by_subset, decoded_alike, searched, summarise

FOLDED = style.FOLDED[0]


@dataclass(frozen=True)
class Baseline:
    """A model trained by itself.

    Args:
        depth: Executed depth.
        wer: In percent.
        label: What it is; equal labels share a colour.
        subset: Subset of the split that its WER is of; empty: drawn whatever the subset.
    """

    depth: int
    wer: float
    label: str = "trained individually"
    subset: str = ""


def plot_sweep(
    rows: Sequence[SweepRow], file: str | Path | None, title: str, baselines: Sequence[Baseline] = ()
) -> Figure:
    """Plot WER (percent) against executed depth, a panel a subset, and save it as PNG unless `file` is None.

    The line is the mean over the evaluated paths of a depth, the bands its standard deviation and range, a
    faint dot every path, all decoded alike; a ring the canonical path, a solid dot every baseline.
    """
    subsets = by_subset(rows) or {"": []}
    figure, panels = style.new_panels(len(subsets))
    for axes, (subset, of_subset) in zip(panels, subsets.items(), strict=True):
        beside = [baseline for baseline in baselines if baseline.subset in ("", subset)]
        _draw_panel(axes, of_subset, beside, f"{title}, {subset}" if len(subsets) > 1 else title)
    if file is not None:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, format="png")
    return figure


def _draw_panel(axes: Axes, rows: Sequence[SweepRow], baselines: Sequence[Baseline], title: str) -> None:
    summaries, alike = summarise(rows), decoded_alike(rows)
    _limit(axes, [*rows, *baselines])
    _draw_means(axes, summaries, searched(rows))
    if len(alike) > len(summaries):
        _draw_spread(axes, alike, summaries)
    _draw_baselines(axes, baselines)
    _describe(axes, alike, summaries, title)


def _limit(axes: Axes, points: Sequence[SweepRow | Baseline]) -> None:
    depths = [point.depth for point in points] or [1]
    margin = min(0.4 + 0.06 * (max(depths) - min(depths)), 0.95)
    axes.set_xlim(min(depths) - margin, max(depths) + margin)
    axes.set_ylim(0, 1.1 * max((point.wer for point in points), default=0) or 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=16, min_n_ticks=1))
    style.label_axes(axes, "executed depth (layers)")


def _draw_means(axes: Axes, summaries: Sequence[DepthSummary], otherwise: str) -> None:
    """otherwise: how canonical paths were decoded, if not as all paths."""
    of_paths, of_canonical = (f", {GREEDY}", f", {otherwise}") if otherwise else ("", "")
    depths, means = [summary.depth for summary in summaries], [summary.mean for summary in summaries]
    axes.plot(depths, means, color=FOLDED, linewidth=2, zorder=3, label=f"mean over paths{of_paths}")
    canonical = [summary.canonical for summary in summaries if summary.canonical]
    axes.scatter(
        [row.depth for row in canonical],
        [row.wer for row in canonical],
        s=38,
        facecolor="white",
        edgecolor=FOLDED,
        linewidth=1.6,
        zorder=4,
        label=f"canonical path{of_canonical}",
    )
    # Beside the ends, where neither the line nor a baseline of the same depth can be in the way.
    for row in canonical[:1]:
        _label(axes, row, -8, "right")
    for row in canonical[1:][-1:]:
        _label(axes, row, 8, "left")


def _label(axes: Axes, row: SweepRow, offset: int, alignment: str) -> None:
    axes.annotate(
        f"{row.wer:.1f}",
        (row.depth, row.wer),
        xytext=(offset, 0),
        textcoords="offset points",
        ha=alignment,
        va="center",
        color=FOLDED,
        fontsize=9.5,
        fontweight="bold",
    )


def _draw_spread(axes: Axes, rows: Sequence[SweepRow], summaries: Sequence[DepthSummary]) -> None:
    axes.scatter(
        [row.depth for row in rows],
        [row.wer for row in rows],
        s=13,
        color=FOLDED,
        alpha=0.4,
        linewidth=0,
        zorder=2,
        label="one path",
    )
    deviation = [(summary.mean - summary.std, summary.mean + summary.std) for summary in summaries]
    span = [(summary.best, summary.worst) for summary in summaries]
    depths = [summary.depth for summary in summaries]
    for band, alpha, label in ((deviation, 0.2, "± standard deviation"), (span, 0.13, "range over paths")):
        lower, upper = zip(*band, strict=True)
        axes.fill_between(depths, lower, upper, color=FOLDED, alpha=alpha, linewidth=0, zorder=1, label=label)


def _draw_baselines(axes: Axes, baselines: Sequence[Baseline]) -> None:
    labels = list(dict.fromkeys(baseline.label for baseline in baselines))
    for i, label in enumerate(labels):
        points = [baseline for baseline in baselines if baseline.label == label]
        axes.scatter(
            [point.depth for point in points],
            [point.wer for point in points],
            s=46,
            color=style.BASELINES[i % len(style.BASELINES)],
            edgecolor="white",
            linewidth=0.8,
            zorder=5,
            label=label,
        )


def _describe(axes: Axes, rows: Sequence[SweepRow], summaries: Sequence[DepthSummary], title: str) -> None:
    facts: tuple[str, ...] = ()
    if rows:
        facts = (
            f"{rows[0].num_params / 1e6:.2f} M parameters",
            f"{_count(len(rows), 'path')} of {_count(len(summaries), 'depth')}",
            f"{_count(rows[0].words, 'word')} in {_count(rows[0].sentences, 'utterance')}",
        )
    style.titled(axes, title, "   |   ".join(facts))
    style.legend(axes)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"

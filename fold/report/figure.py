"""The depth sweep as a figure, in the manner of Figure 2 of arXiv 2505.21237."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fold.report.sweep import DepthSummary, SweepRow, summarise

INK = "#1f2933"
MUTED = "#6b7785"
GRID = "#e4e8ec"
FOLDED = "#1f6fb2"
BASELINES = ("#c8452f", "#3c8d5a", "#8a5bb0", "#b8860b")


@dataclass(frozen=True)
class Baseline:
    """A model trained by itself: executed depth, WER in percent, what it is (equal labels share a colour)."""

    depth: int
    wer: float
    label: str = "trained individually"


def plot_sweep(
    rows: Sequence[SweepRow], file: str | Path | None, title: str, baselines: Sequence[Baseline] = ()
) -> Figure:
    """Plot WER (percent) against executed depth, and save it as PNG unless `file` is None.

    The line is the mean over the evaluated paths of a depth, the bands its standard deviation and range, a
    faint dot every path, a ring the canonical path, a solid dot every baseline. No global matplotlib state is
    used, so any thread may draw.
    """
    figure = Figure(figsize=(7.6, 4.6), dpi=200, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    summaries = summarise(rows)
    _style(axes, [*rows, *baselines])
    _draw_means(axes, summaries)
    if len(rows) > len(summaries):
        _draw_spread(axes, rows, summaries)
    _draw_baselines(axes, baselines)
    _describe(axes, rows, summaries, title)
    if file is not None:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, format="png")
    return figure


def _style(axes: Axes, points: Sequence[SweepRow | Baseline]) -> None:
    depths = [point.depth for point in points] or [1]
    margin = min(0.4 + 0.06 * (max(depths) - min(depths)), 0.95)
    axes.set_xlim(min(depths) - margin, max(depths) + margin)
    axes.set_ylim(0, 1.1 * max((point.wer for point in points), default=0) or 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=16, min_n_ticks=1))
    axes.set_xlabel("executed depth (layers)", color=INK)
    axes.set_ylabel("WER (%)", color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(color=MUTED, labelcolor=INK, length=3)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def _draw_means(axes: Axes, summaries: Sequence[DepthSummary]) -> None:
    depths, means = [summary.depth for summary in summaries], [summary.mean for summary in summaries]
    axes.plot(depths, means, color=FOLDED, linewidth=2, zorder=3, label="mean over paths")
    canonical = [summary.canonical for summary in summaries if summary.canonical]
    axes.scatter(
        [row.depth for row in canonical],
        [row.wer for row in canonical],
        s=38,
        facecolor="white",
        edgecolor=FOLDED,
        linewidth=1.6,
        zorder=4,
        label="canonical path",
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
            color=BASELINES[i % len(BASELINES)],
            edgecolor="white",
            linewidth=0.8,
            zorder=5,
            label=label,
        )


def _describe(axes: Axes, rows: Sequence[SweepRow], summaries: Sequence[DepthSummary], title: str) -> None:
    axes.set_title(title, loc="left", color=INK, fontsize=12.5, fontweight="bold", pad=26)
    if rows:
        facts = (
            f"{rows[0].num_params / 1e6:.2f} M parameters",
            f"{_count(len(rows), 'path')} of {_count(len(summaries), 'depth')}",
            f"{_count(rows[0].words, 'word')} in {_count(rows[0].sentences, 'utterance')}",
        )
        place = {"transform": axes.transAxes, "va": "bottom"}
        axes.text(0, 1.03, "   |   ".join(facts), color=MUTED, fontsize=9, **place)
    legend = axes.legend(loc="best", ncols=2, fontsize=8.5, labelcolor=INK, borderaxespad=1)
    legend.get_frame().set(facecolor="white", edgecolor="none", alpha=0.9)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"

"""Systems as figures: WER against depth, parameters and computing time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fold.report import style
from fold.report.compare.systems import System, timed, times_compare
from fold.report.labels import Label, place_labels
from fold.report.sweep import GREEDY, searched

LABEL_WIDTH = 40  # characters for the systems of one dot in a legend


@dataclass(frozen=True)
class Drawing:
    """A figure, and what it shows in words for who cannot see it. name: of its files."""

    name: str
    title: str
    figure: Figure
    words: str


def drawings(systems: Sequence[System]) -> list[Drawing]:
    """All figures of a comparison."""
    drawn = [
        ("wer_by_depth", "WER by executed depth", wer_by_depth),
        ("wer_by_parameters", "WER by stored parameters", wer_by_parameters),
    ]
    if all(system.record.macs for system in systems):
        drawn.append(("wer_by_macs", "WER by computation", wer_by_macs))
    if times_compare(systems):
        drawn.append(("wer_by_real_time_factor", "WER by computing time", wer_by_real_time_factor))
    words = "; ".join(map(described, systems))
    return [Drawing(name, title, draw(systems, title), f"{title}. {words}.") for name, title, draw in drawn]


def described(system: System) -> str:
    """The points of a system in words."""
    points = ", ".join(f"{fmean(system.wers(depth)):.2f} % at depth {depth}" for depth in system.depths)
    return f"{system.label}: {points}"


def wer_by_depth(systems: Sequence[System], title: str) -> Figure:
    """In the manner of Figures 2 and 3 of arXiv 2505.21237: for a foldable system the mean over its paths as a line,
    with their range; for one trained at a single depth a solid dot, with its deviation over runs."""
    figure, axes = style.new_figure()
    for number, (system, colour) in enumerate(_foldable(systems)):
        means, lows, highs = zip(*map(system.over_paths, system.depths), strict=True)
        otherwise = searched(system.record.rows)
        of_paths, of_canonical = (f", {GREEDY}", f", {otherwise}") if otherwise else ("", "")
        label = f"{_shown(system.label)}, mean over paths{of_paths}"
        axes.plot(system.depths, means, color=colour, linewidth=2, zorder=3, label=label)
        of_all = "range over paths and runs" if len(system.records) > 1 else "range over paths"
        span = "" if number else of_all  # what all systems have, the legend explains once
        axes.fill_between(system.depths, lows, highs, color=colour, alpha=0.15, linewidth=0, label=span)
        canonical = [fmean(system.wers(depth)) for depth in system.depths]
        axes.scatter(
            system.depths,
            canonical,
            s=38,
            facecolor=style.PAPER,
            edgecolor=colour,
            linewidth=1.6,
            zorder=4,
            label="" if number else f"canonical paths{of_canonical}",
        )
    for system, colour, label in _dots(systems):
        [depth] = system.depths
        wers = system.wers(depth)
        spread = stdev(wers) if len(wers) > 1 else 0
        axes.errorbar(depth, fmean(wers), spread, fmt="o", color=colour, capsize=3, zorder=5, label=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=16, min_n_ticks=1))
    _finish(axes, "executed depth (layers)", title, systems)
    return figure


def wer_by_parameters(systems: Sequence[System], title: str) -> Figure:
    """WER of every depth against the parameters that are stored for it."""
    figure, axes = style.new_figure()
    ends, dots = [], []
    for system, colour in _foldable(systems):
        millions = system.record.num_params / 1e6
        wers = [fmean(system.wers(depth)) for depth in system.depths]
        axes.plot([millions] * len(wers), wers, "o-", color=colour, label=_shown(system.label))
        between = [Label("", millions, wer, colour) for wer in wers[1:-1]]
        ends += [Label(f"depth {system.depths[end]}", millions, wers[end], colour) for end in (0, -1)] + between
    for system, colour, label in _dots(systems):
        [depth] = system.depths
        millions, wer = system.record.num_params / 1e6, fmean(system.wers(depth))
        axes.scatter(millions, wer, color=colour, s=40, zorder=5, label=label)
        dots.append(Label(str(depth), millions, wer, colour))
    axes.margins(x=0.12)
    _finish(axes, "parameters (millions)", title, systems)
    place_labels(axes, ends + dots)
    return figure


def wer_by_macs(systems: Sequence[System], title: str) -> Figure:
    """WER of every depth against what it computes, for systems of which that is known."""
    figure, axes = style.new_figure()
    labels = []
    foldable = [(system, colour, _shown(system.label)) for system, colour in _foldable(systems)]
    for system, colour, label in (*foldable, *_dots(systems)):
        billions = [(system.macs(depth) or 0) / 1e9 for depth in system.depths]
        wers = [fmean(system.wers(depth)) for depth in system.depths]
        axes.plot(billions, wers, "o-", color=colour, label=label)
        labels += [Label(str(d), macs, wer, colour) for d, macs, wer in zip(system.depths, billions, wers, strict=True)]
    axes.margins(x=0.08)
    _finish(axes, "billions of multiply-accumulates for a second of audio", title, systems)
    place_labels(axes, labels)
    return figure


def wer_by_real_time_factor(systems: Sequence[System], title: str) -> Figure:
    """WER of every depth against the time it takes, with the spread of that; for systems that were timed together."""
    figure, axes = style.new_figure()
    labels = []
    foldable = [(system, colour, _shown(system.label)) for system, colour in _foldable(systems)]
    for system, colour, label in (*foldable, *_dots(systems)):
        times = [timed(system).of_depths[depth] for depth in system.depths]
        wers = [fmean(system.wers(depth)) for depth in system.depths]
        factors = [time.median for time in times]
        spread = [[t.median - t.low for t in times], [t.high - t.median for t in times]]
        axes.errorbar(
            factors, wers, xerr=spread, fmt="o-", capsize=3, elinewidth=1, markersize=6, color=colour, label=label
        )
        labels += [
            Label(str(depth), factor, wer, colour)
            for depth, factor, wer in zip(system.depths, factors, wers, strict=True)
        ]
    axes.margins(x=0.08)
    device = timed(systems[0]).device
    _finish(axes, f"real-time factor on {device} (bars: middle half)", title, systems)
    place_labels(axes, labels)
    return figure


def _foldable(systems: Sequence[System]) -> Iterator[tuple[System, str]]:
    """Systems of several depths, with a colour each."""
    several = [system for system in systems if system.foldable]
    return zip(several, _cycle(style.FOLDED), strict=False)


def _dots(systems: Sequence[System]) -> list[tuple[System, str, str]]:
    """Systems of a single depth with colour and label: those of one experiment share a colour, and a label, which the
    first of them brings."""
    by_experiment: dict[str, list[System]] = {}
    for system in systems:
        if not system.foldable:
            by_experiment.setdefault(system.record.name, []).append(system)
    found = []
    for (name, alike), colour in zip(by_experiment.items(), _cycle(style.BASELINES), strict=False):
        labels = ", ".join(system.label for system in alike)
        label = f"{labels if len(labels) <= LABEL_WIDTH else name}, trained individually"
        found += [(system, colour, _shown(label) if system is alike[0] else "") for system in alike]
    return found


def _shown(label: str) -> str:
    """A label that Matplotlib does not take for a private one."""
    return f" {label}" if label.startswith("_") else label


def _cycle(colours: Sequence[str]) -> list[str]:
    return list(colours) * 16


def _finish(axes: Axes, x: str, title: str, systems: Sequence[System]) -> None:
    runs = sum(len(system.records) for system in systems)
    facts = f"{runs} run{'s' if runs > 1 else ''}   |   {systems[0].record.size}"
    style.label_axes(axes, x)
    axes.set_ylim(0, 1.05 * axes.get_ylim()[1])
    style.titled(axes, title, facts)
    style.legend_below(axes)

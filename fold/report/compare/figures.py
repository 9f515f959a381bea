"""Systems as figures: WER against depth, parameters and real-time factor."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fold.report import style
from fold.report.compare.systems import System, timed_on
from fold.report.sweep import GREEDY, searched

LABEL_WIDTH = 40  # characters that a legend has room for


def wer_by_depth(systems: Sequence[System], title: str) -> Figure:
    """In the manner of Figures 2 and 3 of arXiv 2505.21237: for a foldable system the mean over its paths as a line,
    with their range; for one trained at a single depth a solid dot, with its deviation over runs."""
    figure, axes = style.new_figure()
    for system, colour in zip(_foldable(systems), _cycle(style.FOLDED), strict=False):
        means, lows, highs = zip(*map(system.over_paths, system.depths), strict=True)
        otherwise = searched(system.record.rows)
        of_paths, of_canonical = (f", {GREEDY}", f", {otherwise}") if otherwise else ("", "")
        label = f"{_shown(system.label)}, mean over paths{of_paths}"
        axes.plot(system.depths, means, color=colour, linewidth=2, zorder=3, label=label)
        span = "range over paths and runs" if len(system.records) > 1 else "range over paths"
        axes.fill_between(system.depths, lows, highs, color=colour, alpha=0.15, linewidth=0, label=span)
        canonical = [fmean(system.wers(depth)) for depth in system.depths]
        ring = {"facecolor": "white", "edgecolor": colour, "linewidth": 1.6, "s": 38, "zorder": 4}
        axes.scatter(system.depths, canonical, **ring, label=f"canonical paths{of_canonical}")
    for system, colour, label in _dots(systems):
        [depth] = system.depths
        wers = system.wers(depth)
        spread = stdev(wers) if len(wers) > 1 else 0
        axes.errorbar(depth, fmean(wers), spread, fmt="o", color=colour, capsize=3, zorder=5, label=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=16, min_n_ticks=1))
    return _finish(figure, axes, "executed depth (layers)", title, systems)


def wer_by_parameters(systems: Sequence[System], title: str) -> Figure:
    """WER of every depth against the parameters that are stored for it."""
    figure, axes = style.new_figure()
    for system, colour in zip(_foldable(systems), _cycle(style.FOLDED), strict=False):
        millions = [system.record.num_params / 1e6] * len(system.depths)
        wers = [fmean(system.wers(depth)) for depth in system.depths]
        axes.plot(millions, wers, "o-", color=colour, label=_shown(system.label))
        for depth in (system.depths[0], system.depths[-1]):
            place = (millions[0], fmean(system.wers(depth)))
            _note(axes, f"depth {depth}", place, colour)
    for system, colour, label in _dots(systems):
        [depth] = system.depths
        place = (system.record.num_params / 1e6, fmean(system.wers(depth)))
        axes.scatter(*place, color=colour, s=40, zorder=5, label=label)
        _note(axes, str(depth), place, colour)
    return _finish(figure, axes, "parameters (millions)", title, systems)


def wer_by_real_time_factor(systems: Sequence[System], title: str) -> Figure | None:
    """WER of every depth against the time it takes; None where no time was measured, or not all on one device."""
    timed = [s for s in systems if all(s.real_time_factor(depth) is not None for depth in s.depths)]
    if len(timed_on(timed)) != 1:
        return None
    figure, axes = style.new_figure()
    for system, colour in zip(_foldable(timed), _cycle(style.FOLDED), strict=False):
        factors = [system.real_time_factor(depth) for depth in system.depths]
        wers = [fmean(system.wers(depth)) for depth in system.depths]
        axes.plot(factors, wers, "o-", color=colour, label=_shown(system.label))
        for depth, factor, wer in zip(system.depths, factors, wers, strict=True):
            _note(axes, str(depth), (factor, wer), colour)
    for system, colour, label in _dots(timed):
        [depth] = system.depths
        place = (system.real_time_factor(depth), fmean(system.wers(depth)))
        axes.scatter(*place, color=colour, s=40, zorder=5, label=label)
        _note(axes, str(depth), place, colour)
    return _finish(figure, axes, f"real-time factor on {timed_on(timed)[0]}", title, timed)


def _foldable(systems: Sequence[System]) -> list[System]:
    return [system for system in systems if system.foldable]


def _dots(systems: Sequence[System]) -> list[tuple[System, str, str]]:
    """Systems of a single depth with colour and label: those of one experiment share a colour, and a label, which the
    first of them brings."""
    by_experiment: dict[str, list[System]] = {}
    for system in systems:
        if not system.foldable:
            by_experiment.setdefault(system.record.name, []).append(system)
    found = []
    for (name, alone), colour in zip(by_experiment.items(), _cycle(style.BASELINES), strict=False):
        labels = ", ".join(system.label for system in alone)
        label = f"{labels if len(labels) <= LABEL_WIDTH else name}, trained individually"
        found += [(system, colour, _shown(label) if system is alone[0] else "") for system in alone]
    return found


def _shown(label: str) -> str:
    """A label that Matplotlib does not take for a private one."""
    return f" {label}" if label.startswith("_") else label


def _note(axes: Axes, text: str, place: tuple[float, float], colour: str) -> None:
    """A word at the right of a point."""
    axes.annotate(text, place, (6, 0), textcoords="offset points", color=colour, fontsize=8.5, va="center")


def _cycle(colours: Sequence[str]) -> list[str]:
    return list(colours) * 16


def _finish(figure: Figure, axes: Axes, x: str, title: str, systems: Sequence[System]) -> Figure:
    row = systems[0].record.rows[0]
    runs = sum(len(system.records) for system in systems)
    style.label_axes(axes, x)
    axes.set_ylim(0, 1.05 * axes.get_ylim()[1])
    style.titled(axes, title, f"{runs} runs   |   {row.words:,} words in {row.sentences:,} utterances")
    style.legend(axes, columns=1)
    return figure

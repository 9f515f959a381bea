"""What all figures look like, and the colours of figures and pages in a light and a dark room."""

from __future__ import annotations

import io
import re
import textwrap
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend


class Colour(NamedTuple):
    """A colour on light and on dark paper."""

    light: str
    dark: str


PALETTE = {  # all but `grid` and `paper` can be read as text on `paper`
    "paper": Colour("#ffffff", "#14181d"),
    "ink": Colour("#1f2933", "#e4e9ee"),
    "muted": Colour("#5f6b78", "#9daab6"),
    "grid": Colour("#e4e8ec", "#2d353e"),
    "folded-1": Colour("#1f6fb2", "#6cb2ee"),
    "folded-2": Colour("#1b7a6f", "#55c7b8"),
    "folded-3": Colour("#7b5ea7", "#b9a0e4"),
    "folded-4": Colour("#a8458f", "#e59fd3"),
    "single-1": Colour("#c0402a", "#f28b73"),
    "single-2": Colour("#2e7d4f", "#74c890"),
    "single-3": Colour("#75513b", "#cfa68c"),
    "single-4": Colour("#8a6300", "#dcb04a"),
}
PAPER, INK, MUTED, GRID = (PALETTE[name].light for name in ("paper", "ink", "muted", "grid"))
FOLDED = tuple(colour.light for name, colour in PALETTE.items() if name.startswith("folded"))
BASELINES = tuple(colour.light for name, colour in PALETTE.items() if name.startswith("single"))
LEGEND_WIDTH = 68  # characters of a line


def new_figure(width: float = 6.4, height: float = 3.9) -> tuple[Figure, Axes]:
    """An empty figure, in inches."""
    figure, [axes] = new_panels(1, width, height)
    return figure, axes


def new_panels(number: int, width: float = 7.6, height: float = 4.6) -> tuple[Figure, list[Axes]]:
    """A figure of empty panels below each other; width and height of one, in inches. No global matplotlib state is
    used, so any thread may draw."""
    figure = Figure(figsize=(width, number * height), dpi=200, layout="constrained")
    FigureCanvasAgg(figure)
    panels = [figure.add_subplot(number, 1, place) for place in range(1, number + 1)]
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(MUTED)
        axes.tick_params(color=MUTED, labelcolor=INK, length=3)
        axes.grid(axis="y", color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
    return figure, panels


def label_axes(axes: Axes, x: str, y: str = "WER (%)") -> None:
    """Names both axes."""
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)


def titled(axes: Axes, title: str, facts: str = "") -> None:
    """A title at the left, with a line of facts below it."""
    pad = 26 if facts else 10
    axes.set_title(title, loc="left", color=INK, fontsize=12.5, fontweight="bold", pad=pad, parse_math=False)
    axes.text(0, 1.03, facts, color=MUTED, fontsize=9, transform=axes.transAxes, va="bottom", parse_math=False)


def legend(axes: Axes, columns: int = 2) -> None:
    """Draws the legend where it covers least."""
    _plain(axes.legend(loc="best", ncols=columns, fontsize=8.5, borderaxespad=1))


def legend_below(axes: Axes) -> None:
    """Draws the legend below the axes, where it covers nothing: the figure grows by it. Long labels take several
    lines."""
    figure = axes.figure
    assert isinstance(figure, Figure)  # as `new_figure` makes them
    handles, labels = axes.get_legend_handles_labels()
    wrapped = ["\n".join(textwrap.wrap(label, LEGEND_WIDTH, drop_whitespace=False)) or label for label in labels]
    shown = figure.legend(handles, wrapped, loc="outside lower left", ncols=1, fontsize=9)
    _plain(shown)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + shown.get_window_extent().height / figure.dpi)


def _plain(legend: Legend) -> None:
    legend.get_frame().set(facecolor=PAPER, edgecolor="none", alpha=0.9)
    for text in legend.get_texts():
        text.set(color=INK, parse_math=False)  # labels are the users'


def svg(figure: Figure) -> str:
    """A figure as an <svg> element without a background, whose colours follow the page's (`--ink` and so on)."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    for name, colour in PALETTE.items():
        text = re.sub(rf"{colour.light}(?=[;\"])", f"var(--{name})", text)
    return text

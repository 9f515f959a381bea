"""What all figures look like."""

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK = "#1f2933"
MUTED = "#6b7785"
GRID = "#e4e8ec"
FOLDED = ("#1f6fb2", "#2a9d8f", "#7b5ea7", "#c77dba")
BASELINES = ("#c8452f", "#3c8d5a", "#8a5bb0", "#b8860b")


def new_figure(width: float = 7.6, height: float = 4.6) -> tuple[Figure, Axes]:
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
    axes.text(0, 1.03, facts, color=MUTED, fontsize=9, transform=axes.transAxes, va="bottom")


def legend(axes: Axes, columns: int = 2) -> None:
    """Draws the legend where it covers least."""
    shown = axes.legend(loc="best", ncols=columns, fontsize=8.5, labelcolor=INK, borderaxespad=1)
    shown.get_frame().set(facecolor="white", edgecolor="none", alpha=0.9)
    for text in shown.get_texts():
        text.set_parse_math(False)  # labels are the users'

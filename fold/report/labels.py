"""Words beside points, where they cover neither each other nor a point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

GAP = 7  # between a point and its label, in points of type, as all lengths here
DOT = 4  # half of the width that a point takes
PLACES = (  # of a label about its point: offset and alignments
    ((GAP, 0), "left", "center"),
    ((-GAP, 0), "right", "center"),
    ((0, GAP), "center", "bottom"),
    ((0, -GAP), "center", "top"),
    ((GAP, GAP), "left", "bottom"),
    ((GAP, -GAP), "left", "top"),
    ((-GAP, GAP), "right", "bottom"),
    ((-GAP, -GAP), "right", "top"),
)


class Label(NamedTuple):
    """What stands beside a point; x, y: in data coordinates."""

    text: str
    x: float
    y: float
    colour: str


def place_labels(axes: Axes, labels: Sequence[Label]) -> None:
    """Writes each label beside its point, the first ones first; one that has no room is left out.

    Draw all else before: the limits of the axes must be final, and points that bear no label are not known here.
    """
    figure = axes.figure
    assert isinstance(figure, Figure) and isinstance(
        figure.canvas, FigureCanvasAgg
    )  # as `fold.report.style` makes them
    figure.draw_without_rendering()  # fixes the layout, and so where points lie
    renderer, scale = figure.canvas.get_renderer(), figure.dpi / 72
    dots = [
        Bbox.from_bounds(x - DOT * scale, y - DOT * scale, 2 * DOT * scale, 2 * DOT * scale)
        for x, y in (axes.transData.transform((label.x, label.y)) for label in labels)
    ]
    taken = list(dots)
    for label in labels:
        text = axes.annotate(
            label.text,
            (label.x, label.y),
            textcoords="offset points",
            xytext=(0, 0),
            color=label.colour,
            fontsize=9,
            parse_math=False,
        )
        for offset, horizontal, vertical in PLACES:
            text.set(position=offset, horizontalalignment=horizontal, verticalalignment=vertical)
            box = text.get_window_extent(renderer)
            if _within(box, axes.bbox) and not box.count_overlaps(taken):
                taken.append(box)
                break
        else:
            text.remove()


def _within(box: Bbox, frame: Bbox) -> bool:
    """Whether a label is nowhere beside its axes, where ticks have their labels; above and below there is room."""
    return frame.containsx(box.x0) and frame.containsx(box.x1)

"""Labels beside points: however the points lie, no two words overlap, and none covers a point."""

import random
from itertools import combinations

import pytest
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from fold.report import style
from fold.report.labels import Label, place_labels


def written(axes) -> list[tuple[str, Bbox]]:
    renderer = axes.figure.canvas.get_renderer()
    found = [child for child in axes.get_children() if isinstance(child, Annotation) and child.get_text()]
    return [(text.get_text(), text.get_window_extent(renderer)) for text in found]


@pytest.mark.parametrize("spread", [0.01, 1.0, 10.0])
@pytest.mark.parametrize("seed", range(3))
def test_no_two_labels_overlap(seed: int, spread: float) -> None:
    generator = random.Random(seed)
    figure, axes = style.new_figure()
    labels = [Label(f"depth {i}", generator.random() * spread, generator.random() * spread, "black") for i in range(12)]
    axes.scatter([label.x for label in labels], [label.y for label in labels], s=16)
    axes.set(xlim=(-1, 11), ylim=(-1, 11))
    place_labels(axes, labels)
    figure.draw_without_rendering()
    boxes = written(axes)
    assert boxes[0][0] == "depth 0"
    assert not [
        names for *names, overlap in ((a, b, x.overlaps(y)) for (a, x), (b, y) in combinations(boxes, 2)) if overlap
    ]
    points = axes.transData.transform([(label.x, label.y) for label in labels])
    assert not [text for text, box in boxes if any(box.contains(*point) for point in points)]
    assert spread < 5 or len(boxes) == len(labels)


@pytest.mark.parametrize("x", [0, 1])
def test_labels_stay_within_the_axes(x: float) -> None:
    _, axes = style.new_figure()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    place_labels(axes, [Label("a long label of a point at the edge", x, 0.5, "black")])
    [(_, box)] = written(axes)
    assert axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1

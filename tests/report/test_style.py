"""Colours can be read on light and on dark paper, and figures in a page take those of the page."""

import re

import pytest

from fold.report import style

DECORATION = ("paper", "grid")


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2 defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("paper", ["light", "dark"])
def test_all_that_is_written_has_the_contrast_of_wcag_aa(paper: str) -> None:
    ground = luminance(getattr(style.PALETTE["paper"], paper))
    for name, colour in style.PALETTE.items():
        lighter, darker = sorted((luminance(getattr(colour, paper)), ground), reverse=True)
        assert name in DECORATION or (lighter + 0.05) / (darker + 0.05) >= 4.5, (name, paper)


def test_an_inline_figure_takes_the_colours_of_its_page() -> None:
    figure, axes = style.new_figure()
    axes.plot([1, 2], [3, 4], color=style.FOLDED[0], label="one")
    style.titled(axes, "A title", "facts")
    style.legend_below(axes)
    drawn = style.svg(figure)
    used = set(re.findall(r"var\(--([\w-]+)\)", drawn))
    assert {"ink", "muted", "grid", "folded-1"} <= used <= style.PALETTE.keys()
    assert not re.search(r"#[0-9a-f]{6}(?=[;\"])", drawn), "a colour that does not follow the page"


def test_the_legend_lies_below_the_axes_however_long_its_labels() -> None:
    figure, axes = style.new_figure()
    for number in range(4):
        axes.plot([1, 2], [3, number], label=f"system {number} " + "with settings that make it what it is " * 4)
    style.legend_below(axes)
    figure.draw_without_rendering()
    [legend] = figure.legends
    box = legend.get_window_extent()
    assert box.y1 <= axes.get_tightbbox().y0 and box.x1 <= figure.bbox.x1
    assert axes.bbox.height > 2.5 * figure.dpi, "the legend takes the room of the axes"

"""Figures of a comparison: each has a title of its own, says in words what it shows, and covers nothing."""

from dataclasses import replace

from report.records import make_record

from fold.report.compare.figures import drawings
from fold.report.compare.systems import group


def test_each_figure_has_a_title_of_its_own_and_tells_its_points_in_words() -> None:
    record = make_record({2: 0.3, 4: 0.1})
    [system] = group([replace(record, real_time_spread={row.path: (0.01, 0.1) for row in record.rows})], ["ours"])
    drawn = drawings([system])
    titles = [drawing.figure.axes[0].get_title(loc="left") for drawing in drawn]
    assert titles == [drawing.title for drawing in drawn] and len(set(titles)) == 4
    for drawing in drawn:
        assert all(f"{row.wer:.2f} % at depth {row.depth}" in drawing.words for row in record.rows)


def test_the_legend_explains_once_what_all_systems_have() -> None:
    systems = group([make_record({2: 0.3, 4: 0.1}, name=name) for name in "abc"], ["a", "b", "c"])
    [legend] = drawings(systems)[0].figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts.count("range over paths") == texts.count("canonical paths") == 1
    assert [text for text in texts if "mean over paths" in text] == [f"{name}, mean over paths" for name in "abc"]

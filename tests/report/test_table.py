import re
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from fold.report.sweep import SweepRow
from fold.report.table import sweep_table, to_markdown

ROWS = [
    SweepRow(2, "1-2", True, 940_321, 8.0, 3.25, 40, 10, 6, 700, 90),
    SweepRow(3, "1-1-2", False, 940_321, 5.0, 2.25, 20, 10, 5, 700, 90),
    SweepRow(3, "1-2-2", True, 940_321, 7.0, 2.75, 30, 10, 9, 700, 90),
    SweepRow(4, "1-1-2-2", True, 940_321, 4.0, 1.5, 20, 7, 1, 700, 90),
]
EXPECTED = [
    ["2", "8.00", "8.00", "", "3.25", "1", "940,321"],
    ["3", "7.00", "6.00", "5.00-7.00", "2.75", "2", "940,321"],
    ["4", "4.00", "4.00", "", "1.50", "1", "940,321"],
]


def render(rows: list[SweepRow], **settings: object) -> str:
    console = Console(file=StringIO(), width=100, **settings)
    console.print(sweep_table(rows, "test"))
    return console.file.getvalue()


def cells(text: str, border: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if re.match(rf"{border} +\d", line)]
    return [[cell.strip() for cell in line.strip(border).split(border)] for line in lines]


def test_terminal_table_has_one_line_per_depth() -> None:
    text = render(ROWS)
    assert cells(text, "│") == EXPECTED
    assert "700 words in 90 utterances" in text


def test_the_lowest_wer_is_bold() -> None:
    text = render(ROWS, force_terminal=True, color_system="truecolor", legacy_windows=False)
    bold = [line for line in text.splitlines() if re.search(r"\x1b\[1m *4\.00", line)]
    assert len(bold) == 1
    assert not re.search(r"\x1b\[1m *[78]\.00", text)


def test_markdown_holds_the_same_cells() -> None:
    text = to_markdown(ROWS)
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert lines[2:5] == EXPECTED
    assert {len(line) for line in lines[:5]} == {7}


def test_a_depth_without_its_canonical_path_shows_a_dash() -> None:
    assert cells(render(ROWS[1:2]), "│") == [["3", "-", "5.00", "", "-", "1", "940,321"]]


@pytest.mark.parametrize("make", [render, to_markdown])
def test_an_empty_sweep_says_so(make) -> None:
    assert "no path was evaluated" in make([])


def test_the_caption_says_how_each_column_was_decoded() -> None:
    greedy = [replace(row, decoding="greedy") for row in ROWS]
    joint = [replace(row, wer=row.wer / 2, decoding="beam 5 ctc 0.3") for row in ROWS if row.canonical]
    assert cells(render(greedy), "│") == EXPECTED
    assert "canonical path; 700 words" in " ".join(render(greedy).split())
    text = render([*greedy, *joint])
    assert "canonical path, beam 5 ctc 0.3; mean and range: all paths, greedy; 700" in " ".join(text.split())
    assert [row[:4] for row in cells(text, "│")] == [
        [depth, f"{float(wer) / 2:.2f}", mean, span] for depth, wer, mean, span, *_ in EXPECTED
    ]

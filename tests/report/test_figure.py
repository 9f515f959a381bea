from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

from fold.report.figure import Baseline, plot_sweep
from fold.report.sweep import SweepRow

ROWS = [
    SweepRow(2, "1-2", True, 940_321, 8.0, 3.25, 40, 10, 6, 700, 90),
    SweepRow(3, "1-1-2", False, 940_321, 5.0, 2.25, 20, 10, 5, 700, 90),
    SweepRow(3, "1-2-2", True, 940_321, 7.0, 2.75, 30, 10, 9, 700, 90),
    SweepRow(4, "1-1-2-2", True, 940_321, 4.0, 1.5, 20, 7, 1, 700, 90),
]


def points(figure: Figure, label: str) -> list[tuple[float, float]]:
    found = [artist for artist in figure.axes[0].collections if artist.get_label() == label]
    return [tuple(point) for artist in found for point in artist.get_offsets().tolist()]


def test_what_is_drawn_is_the_sweep() -> None:
    baselines = [Baseline(2, 7.5), Baseline(4, 11.0), Baseline(4, 4.5, "other")]
    figure = plot_sweep(ROWS, None, "test", baselines)
    axes = figure.axes[0]
    assert axes.lines[0].get_xydata().tolist() == [[2, 8], [3, 6], [4, 4]]
    assert points(figure, "canonical path") == [(2, 8), (3, 7), (4, 4)]
    assert points(figure, "one path") == [(row.depth, row.wer) for row in ROWS]
    assert points(figure, "trained individually") == [(2, 7.5), (4, 11)]
    assert points(figure, "other") == [(4, 4.5)]
    assert axes.get_ylim()[0] == 0
    assert axes.get_ylim()[1] > 11
    low, high = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [2, 3, 4]


def test_the_line_is_of_rows_decoded_alike_and_the_legend_says_how() -> None:
    greedy = [replace(row, decoding="greedy") for row in ROWS]
    joint = [replace(row, wer=row.wer / 2, decoding="beam 5 ctc 0.3") for row in ROWS if row.canonical]
    figure = plot_sweep([*greedy, *joint], None, "test")
    [line] = [line for line in figure.axes[0].lines if line.get_label() == "mean over paths, greedy"]
    assert line.get_xydata().tolist() == [[2, 8], [3, 6], [4, 4]]
    assert points(figure, "canonical path, beam 5 ctc 0.3") == [(2, 4), (3, 3.5), (4, 2)]
    assert points(figure, "one path") == [(row.depth, row.wer) for row in ROWS]


@pytest.mark.parametrize("rows", [[], ROWS[:1], ROWS[1:2]])
def test_small_sweeps_can_be_drawn(rows: list[SweepRow], tmp_path: Path) -> None:
    plot_sweep(rows, tmp_path / "runs" / "sweep.png", "test")
    assert (tmp_path / "runs" / "sweep.png").read_bytes().startswith(b"\x89PNG")


def test_threads_draw_the_same_and_leave_pyplot_alone(tmp_path: Path) -> None:
    files = [tmp_path / f"{i}.png" for i in range(3)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda file: plot_sweep(ROWS, file, "test"), files))
    assert len({file.read_bytes() for file in files}) == 1
    assert pyplot.get_fignums() == []

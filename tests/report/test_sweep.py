import csv
import dataclasses
import statistics
from pathlib import Path

import pytest

from fold.errors import FoldError
from fold.metrics import ErrorCounts
from fold.report.sweep import SweepRow, read_sweep, summarise, write_sweep


def make_row(depth: int, path: str, canonical: bool, errors: int) -> SweepRow:
    counts = ErrorCounts(errors, 2, 1, words=700, char_errors=5 * errors, chars=3100, sentences=90)
    return SweepRow.from_counts(depth, path, canonical, 28_689_312, counts, "test", "greedy")


ROWS = [
    make_row(3, "1-1-2", False, 31),
    make_row(2, "1-2", True, 53),
    make_row(3, "1-2-2", True, 40),
    make_row(4, "1-1-2-2", True, 11),
]


def test_round_trip_is_exact(tmp_path: Path) -> None:
    file = tmp_path / "made" / "depth_sweep.csv"
    write_sweep(ROWS, file)
    assert read_sweep(file) == ROWS
    assert [path.name for path in file.parent.iterdir()] == ["depth_sweep.csv"]


def test_columns_and_values_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "depth_sweep.csv"
    write_sweep(ROWS[:2], file)
    header, first, second = csv.reader(file.read_text().splitlines())
    columns = (
        "depth path canonical num_params wer cer substitutions deletions insertions words sentences subset decoding"
    )
    assert header == columns.split()
    assert first[:4] == ["3", "1-1-2", "False", "28689312"]
    assert second[:4] == ["2", "1-2", "True", "28689312"]
    assert float(second[4]) == 100 * 56 / 700
    assert second[6:] == ["53", "2", "1", "700", "90", "test", "greedy"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "depth_sweep.csv"
    write_sweep(ROWS[:1], file)
    with pytest.raises(TypeError):
        write_sweep([*ROWS, "no row"], file)
    assert read_sweep(file) == ROWS[:1]
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (None, "No such file"),
        (b"", "its columns are nothing"),
        (b"epoch,loss\n1,2.0\n", "its columns are epoch,loss"),
        (b"\xff\xfe\x00\x01", "cannot read"),
        ("HEADER\n3,1-1-2\n", "line 2: 2 cells"),
        ("HEADER\n3,1-1-2,True,9,x,1.0,1,1,1,9,9,test,greedy\n", "line 2: wer is 'x', not a float"),
        ("HEADER\n3,1-1-2,1,9,1.0,1.0,1,1,1,9,9,test,greedy\n", "line 2: canonical is '1', not a bool"),
    ],
)
def test_a_foreign_file_is_named_in_one_line(tmp_path: Path, content: bytes | str | None, named: str) -> None:
    file = tmp_path / "depth_sweep.csv"
    if isinstance(content, str):
        write_sweep([], file)
        file.write_text(content.replace("HEADER\n", file.read_text()))
    elif content is not None:
        file.write_bytes(content)
    with pytest.raises(FoldError, match=named) as error:
        read_sweep(file)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_is_no_sweep(tmp_path: Path) -> None:
    with pytest.raises(FoldError, match="directory"):
        read_sweep(tmp_path)


def test_summary_by_depth() -> None:
    two, three, four = summarise(ROWS)
    assert (two.depth, three.depth, four.depth) == (2, 3, 4)
    wers = [100 * 34 / 700, 100 * 43 / 700]
    assert (three.num_paths, three.best, three.worst) == (2, min(wers), max(wers))
    assert three.mean == pytest.approx(statistics.fmean(wers))
    assert three.std == pytest.approx((wers[1] - wers[0]) / 2)
    assert three.canonical == ROWS[2]
    assert four.std == 0
    assert summarise(ROWS[:1])[0].canonical is None
    assert summarise([]) == []


def test_means_are_of_rows_decoded_alike_and_the_canonical_row_is_the_searched_one() -> None:
    best = dataclasses.replace(make_row(3, "1-2-2", True, 20), decoding="beam 5 ctc 0.3")
    for rows in ([*ROWS, best], [best, *ROWS]):  # in whatever order a file has them
        before, summary = summarise(ROWS)[1], summarise(rows)[1]
        assert summary == dataclasses.replace(before, canonical=best)
    assert before.canonical == ROWS[2]


def test_rows_that_do_not_say_how_they_were_decoded_count_all() -> None:
    former = [dataclasses.replace(row, decoding="") for row in ROWS]
    for before, summary in zip(summarise(former), summarise(ROWS), strict=True):
        assert (before.mean, before.num_paths, before.canonical.path) == (
            summary.mean,
            summary.num_paths,
            summary.canonical.path,
        )

"""`fold-device bench`: fresh processes, a record, a choice."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from stub_export import saying

from fold_device.bench.budget import Budget, choose, parse_size
from fold_device.bench.record import Record, Row, Spread, read_record, write_record
from fold_device.bench.wer import read_transcripts, wer, word_errors
from fold_device.cli import main
from fold_device.errors import DeviceError

Wav = Callable[..., Path]


def row(depth: int, precision: str, memory: float, factor: float, wer: float | None) -> Row:
    spread = Spread(factor, factor, factor * 1.1)
    held = Spread(memory, memory, memory * 1.01)
    return Row(depth, precision, (1, depth - 1), 1000, held, spread, spread, spread, spread, wer)


def record(*rows: Row) -> Record:
    return Record("small", "a processor", 2, "ONNX Runtime 1.2.3", 3, 20, 100, rows)


ROWS = (
    row(4, "fp32", 20e6, 0.010, 6.0),
    row(8, "fp32", 20e6, 0.020, 4.0),
    row(4, "int8", 10e6, 0.005, 6.1),
    row(8, "int8", 10e6, 0.012, 4.05),
)


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (Budget(), (8, "fp32")),
        (Budget(memory="15MB"), (8, "int8")),
        (Budget(memory="10MB"), None),  # the highest of the rounds counts
        (Budget(real_time_factor=0.015), (8, "int8")),
        (Budget(real_time_factor=0.0115), (4, "fp32")),
        (Budget(memory="15MB", real_time_factor=0.006), (4, "int8")),
        (Budget(within=5), (8, "int8")),
        (Budget(within=55), (4, "int8")),
        (Budget(real_time_factor=0.004), None),
    ],
)
def test_a_budget_picks_depth_and_precision(budget: Budget, expected: tuple | None) -> None:
    found = choose(record(*ROWS), budget)
    assert (found and (found.depth, found.precision)) == expected


def test_without_wer_the_deepest_is_picked() -> None:
    rows = [row(depth, "int8", 1e6, depth / 100, None) for depth in (4, 6, 8)]
    assert choose(record(*rows), Budget(real_time_factor=0.07)).depth == 6
    with pytest.raises(DeviceError, match="no WER was measured"):
        choose(record(*rows), Budget(within=2))


@pytest.mark.parametrize(("text", "expected"), [("40MB", 40e6), ("1.5 GB", 1.5e9), ("38MiB", 38 * 2**20), ("7", 7)])
def test_sizes(text: str, expected: float) -> None:
    assert parse_size(text) == expected


def test_a_wrong_size_is_one_line() -> None:
    with pytest.raises(DeviceError, match="expected one such as 40MB"):
        parse_size("lots")


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_record(record(*ROWS), tmp_path / "bench.json")
    assert read_record(tmp_path / "bench.json") == record(*ROWS)


@pytest.mark.parametrize("content", ["", "[]", '{"format": "other"}', '{"format": "fold-device-bench", "version": 1}'])
def test_a_bad_record_is_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "bench.json").write_text(content)
    with pytest.raises(DeviceError, match=r"bench\.json: ") as raised:
        read_record(tmp_path / "bench.json")
    assert "\n" not in str(raised.value)


def test_word_errors_are_those_of_another_library() -> None:
    jiwer = pytest.importorskip("jiwer")
    random = np.random.default_rng(0)
    for _ in range(100):
        said, heard = (" ".join(random.choice(list("abcd"), random.integers(1, 9))) for _ in range(2))
        found = jiwer.process_words(said, heard)
        assert word_errors(said, heard) == found.substitutions + found.deletions + found.insertions
    assert wer({"x": "a b", "y": "c d"}, {"x": "a", "y": "c d"}) == 25


def test_bench_measures_each_in_a_process(
    exported: Path, wav: Wav, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in (("a", "lights on"), ("b", "all off")):
        wav(f"{name}.wav", saying(text, 4))
    listed = tmp_path / "list.tsv"
    listed.write_text("audio\ttext\na.wav\tlights on\nb.wav\tall on\n")
    output = tmp_path / "found"
    options = ["--rounds", "1", "--timed", "3", "--depths", "2,4", "--precisions", "int8", "--output", str(output)]
    assert main(["bench", str(exported), "--transcripts", str(listed), *options]) == 0
    printed = capsys.readouterr()
    found = read_record(output / "bench.json")
    assert [(r.depth, r.precision) for r in found.rows] == [(2, "int8"), (4, "int8")]
    assert found.rows[1].wer == 25  # of four words one is wrong
    assert found.rows[0].wer > 25
    for measured in found.rows:
        assert 0 < measured.load_seconds.median < measured.first_result_seconds.median < 60
        assert 0 < measured.real_time_factor.median < 1
        assert 0 < measured.memory_bytes.median < 100e6
        assert measured.stored_bytes == (exported / "model.int8.onnx").stat().st_size
    assert (output / "bench.png").read_bytes().startswith(b"\x89PNG")
    assert "int8" in printed.out
    # The record answers without a further measurement, and without the model.
    chosen = ["bench", "--record", str(output / "bench.json"), "--budget.memory", "90MB"]
    assert main(chosen) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("memory up to 90MB: depth 4 in int8 (WER 25.00 %")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["bench"], "expected a model"),
        (["bench", "MODEL"], "no audio"),
        (["bench", "MODEL", "a.wav", "--record", "x.json"], "expected a model to measure, or"),
        (["bench", "MODEL", "missing.wav", "--rounds", "1"], "missing.wav: no such file"),
        (["bench", "MODEL", "a.wav", "--depths", "9"], "depth 9"),
        (["bench", "MODEL", "a.wav", "--precisions", "int3"], "precision int3"),
        (["bench", "MODEL", "a.wav", "--rounds", "0"], "0 rounds"),
        (["bench", "MODEL", "--transcripts", "none.tsv"], "none.tsv"),
        (["bench", "MODEL", "a.wav", "--budget.memory", "much"], "size 'much'"),
        (["bench", "--record", "none.json"], "none.json"),
    ],
)
def test_a_wrong_argument_of_bench_is_one_line(
    exported: Path, arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(exported) if argument == "MODEL" else argument for argument in arguments]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert named in line


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("", "columns audio and text"),
        ("file\ttext\n", "columns"),
        ("audio\ttext\n", "no audio"),
        ("audio\ttext\nx", ", line 2"),
        ("audio\ttext\na.wav\tone\na.wav\ttwo\n", ", line 3: a.wav again, or a part of it; expected whole recordings"),
        ("audio\ttext\tend\na.wav\tone\t\nb.wav\ttwo\t1.5\n", ", line 3: b.wav again, or a part of it"),
    ],
)
def test_a_bad_list_is_one_line(tmp_path: Path, content: str, named: str) -> None:
    (tmp_path / "list.tsv").write_text(content)
    with pytest.raises(DeviceError, match=named):
        read_transcripts(tmp_path / "list.tsv")


def test_a_record_holds_plain_json(tmp_path: Path) -> None:
    write_record(record(*ROWS), tmp_path / "bench.json")
    plain = json.loads((tmp_path / "bench.json").read_text())
    assert plain["rows"][0]["memory_bytes"] == {"median": 20e6, "low": 20e6, "high": 20e6 * 1.01}

import contextlib
import io
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path as FilePath
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from benchmarks import peer
from benchmarks.__main__ import BENCHMARKS, TINY, main
from benchmarks.joint_step import encoder_step, passes, training_paths
from benchmarks.memory import peak_in_fresh_process
from benchmarks.report import Row, Section
from benchmarks.sweep import compare
from benchmarks.timing import interleaved
from benchmarks.workload import SAMPLE_RATE
from fold.paths import Path, PathSpace
from fold.unfolding import Unfolding

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """What `python -m benchmarks --quick` prints and writes."""
    file = tmp_path_factory.mktemp("benchmarks") / "results.json"
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        main(["--quick", "--device", "cpu", "--output", str(file)])
    return SimpleNamespace(printed=printed.getvalue(), results=json.loads(file.read_text())["benchmarks"])


def rows(quick: SimpleNamespace, name: str) -> dict[str, dict]:
    return {row["name"]: row for row in quick.results[name]["rows"]}


def all_paths(num_layers: int) -> list[Path]:
    space = PathSpace(num_layers, 2)
    return [path for depth in space.depths for path in space.paths(depth)]


def distinct_prefixes(paths: Sequence[Path]) -> int:
    return len({path.layers[:length] for path in paths for length in range(1, path.depth + 1)})


def test_every_benchmark_runs_and_is_printed(quick: SimpleNamespace) -> None:
    assert list(quick.results) == list(BENCHMARKS)
    for section in quick.results.values():
        assert section["title"] in quick.printed
        assert section["rows"]
        for row in section["rows"]:
            assert row["name"] in quick.printed
            assert all(math.isfinite(value) and value > 0 for value in row["values"])


def test_joint_step_states_the_layer_calls_of_the_drawn_paths(quick: SimpleNamespace) -> None:
    space = PathSpace(TINY.num_layers, 2)
    paths = training_paths(space, step=0)
    deepest, separate = space.deepest.depth, sum(path.depth for path in paths)
    for part in ("encoder", "model"):
        measured = rows(quick, "joint")
        assert measured[f"{part}: joint / deepest"]["expected"] == [distinct_prefixes(paths) / deepest]
        assert measured[f"{part}: separate / deepest"]["expected"] == [separate / deepest]
        assert measured[f"{part}: separate / joint"]["expected"] == [separate / distinct_prefixes(paths)]


def test_sweep_states_the_layer_calls_it_counted(quick: SimpleNamespace) -> None:
    paths = all_paths(TINY.num_layers)
    together, alone = distinct_prefixes(paths), sum(path.depth for path in paths)
    assert f"{together} layer calls against {alone}" in quick.printed
    assert rows(quick, "sweep")["encoder: alone / together"]["expected"] == [alone / together]


def test_joint_and_separate_passes_give_the_same_gradients() -> None:
    unfolding = replace(TINY, dropout=0.0).conformer().build(TINY.vocab_size, SAMPLE_RATE).unfolding
    space = PathSpace(TINY.num_layers, 2)
    draws = [training_paths(space, step=0)]
    compared = passes(unfolding, encoder_step(unfolding, TINY, CPU), draws)
    gradients = {}
    for name, call in compared.items():
        call(0)
        gradients[name] = torch.cat([parameter.grad.flatten() for parameter in unfolding.parameters()])
    torch.testing.assert_close(gradients["joint"], gradients["separate"], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(gradients["joint"], gradients["deepest"], rtol=1e-2)


def test_the_sweep_of_six_layers_takes_126_calls_against_576() -> None:
    unfolding = Unfolding(nn.Linear(4, 4) for _ in range(6))
    x = torch.randn(3, 4)
    difference, together, alone = compare(lambda paths: unfolding.walk(x, paths), all_paths(6), unfolding.layers)
    assert (together, alone) == (126, 576)
    assert difference < 1e-6


def test_the_sweep_tells_by_how_much_results_differ() -> None:
    def run(paths: Sequence[Path]):
        return ((index, torch.tensor([float(len(paths))])) for index in range(len(paths)))

    assert compare(run, all_paths(2), nn.ModuleList())[0] == 3.0


def test_rounds_rotate_and_the_warm_up_is_not_timed() -> None:
    order: list[str] = []
    calls = {name: lambda number, name=name: order.append(f"{name}{number}") for name in "ab"}
    seconds = interleaved(calls, 3, CPU, "test", warm_up=1)
    assert order == ["b0", "a0", "a0", "b0", "b1", "a1", "a2", "b2"]
    assert [len(values) for values in seconds.values()] == [3, 3]


def test_a_table_holds_median_range_and_the_ratio_to_the_layer_calls() -> None:
    section = Section("test", [Row("joint", [1.0, 4.0, 2.0], "x", [2.0, 2.0, 2.0])])
    assert "| joint | 3 | 2.00 x | 1.00-4.00 | 2.00 x | 1.000 |" in section.to_markdown()
    assert "by calls" not in Section("test", [Row("joint", [1.0])]).to_markdown()


@pytest.mark.parametrize(("rate", "names"), [(1.0, ["fp32"]), (50.0, ["fp32", "bf16"])])
def test_emulated_bf16_is_left_out(monkeypatch: pytest.MonkeyPatch, rate: float, names: list[str]) -> None:
    monkeypatch.setattr(peer, "product_rate", lambda device, dtype: 100.0 if dtype == torch.float32 else rate)
    notes: list[str] = []
    assert peer.worthwhile_precisions(CPU, notes) == names
    assert notes == ["bf16 skipped: its matrix products run at 1.0 GFLOP/s here (fp32 100)"] * (2 - len(names))


def test_peak_memory_grows_with_the_batch() -> None:
    peaks = [
        peak_in_fresh_process(replace(TINY, batch_size=batch_size), CPU, TINY.conformer(1), [Path((0,))])
        for batch_size in (2, 8)
    ]
    assert peaks[1] > 2 * peaks[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["speed"], "no benchmark 'speed'; there are: joint, lengths, sweep, peer, beam, memory"),
        (["--batch-size", "0"], "expected a whole number of at least 1"),
        (["--output", "results.txt"], "expected a name ending in .json or .md"),
        (["--device", "abacus"], "device 'abacus' cannot be used"),
    ],
)
def test_a_wrong_argument_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_markdown_is_written(tmp_path: FilePath) -> None:
    main(["peer", "--quick", "--device", "cpu", "--output", str(tmp_path / "results.md")])
    assert "| training step, fp32 | 1 |" in (tmp_path / "results.md").read_text()

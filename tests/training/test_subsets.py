"""A corpus in LibriSpeech's layout, trained two steps with the shipped YAML: test-clean and test-other come apart."""

import csv
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import REPOSITORY, Finished
from speech_folders import SIZES, write_folders
from tones import SAMPLE_RATE

from fold.metrics.errors import ErrorCounts, count_errors
from fold.report.record import Record, read_record

Command = Callable[..., Finished]
SUBSETS = ("test-clean", "test-other")


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory, tones_config: Path) -> list[str]:
    """Of `fold fit`."""
    folder = tmp_path_factory.mktemp("speech")
    return [
        f"--config={tones_config}",
        f"--config={REPOSITORY}/data/librispeech.yaml",
        f"--data.root={write_folders(folder / 'LibriSpeech')}",
        f"--data.shards={folder}/shards",
        f"--data.sample_rate={SAMPLE_RATE}",
        "--data.eval_batch_seconds=3",
        "--data.prepare_workers=1",
    ]


@pytest.fixture(scope="module", params=[1, pytest.param(2, marks=pytest.mark.slow)])
def trained(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, options: list[str], fold_process: Command
) -> tuple[Path, str]:
    """Folder of a run of one process or two, and what was printed."""
    folder = tmp_path_factory.mktemp("trained")
    validation = ["--trainer.check_val_every_n_epoch=null", "--trainer.val_check_interval=1"]
    done = fold_process(folder, "fit", *options, *validation, f"--trainer.devices={request.param}", "--run_dir=run")
    return folder / "run", done.stdout


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open() as stream:
        return list(csv.DictReader(stream))


def wers(record: Record, subset: str) -> dict[int, float]:
    return {depth: row.wer for depth, row in record.of(subset).canonical.items()}


def test_record_and_table_of_a_run_have_both_subsets(trained: tuple[Path, str]) -> None:
    run, printed = trained
    record = read_record(run / "depth_sweep.json")
    assert record.subsets == SUBSETS
    for subset in SUBSETS:
        part = record.of(subset)
        assert len(part.references) == SIZES[subset]
        assert (subset == "test-other") == (set(part.references.values()) == {"d d d d d d"})
        for row in part.canonical.values():
            pairs = [(part.references[id], text) for id, text in part.hypotheses(row.path).items()]
            counts = sum((count_errors(*pair) for pair in pairs), ErrorCounts())
            assert (row.wer, row.cer, row.sentences) == (counts.wer, counts.cer, SIZES[subset])
    found = [(row["subset"], row["path"], float(row["wer"])) for row in rows_of(run / "depth_sweep.csv")]
    assert found == [(row.subset, row.path, row.wer) for row in record.rows]
    for subset, following in (("test-clean", "test-other"), ("test-other", "run: run")):
        [table] = re.findall(rf"executed depth, {subset}(.*){following}", printed, re.DOTALL)
        shown = re.findall(r"│ +(\d) │ +([\d.]+) │", table)
        assert shown == [(str(depth), f"{wer:.2f}") for depth, wer in wers(record, subset).items()]
    assert record.real_time_factors.keys() == {row.path for row in record.of("test-clean").canonical.values()}


def test_scalars_are_logged_by_subset(trained: tuple[Path, str]) -> None:
    run, _ = trained
    logged = [row for row in rows_of(run / "metrics.csv") if row["val/wer/mean"]]
    names = {name for name in logged[0] if name.startswith("val/") and "depth" in name}
    assert names == {f"val/dev-{kind}/wer/depth_0{depth}" for kind in ("clean", "other") for depth in (2, 3, 4)}
    for row in logged:
        assert float(row["val/wer/mean"]) == pytest.approx(sum(float(row[name]) for name in names) / 6, rel=1e-5)
    [file] = (run / "wandb").glob("offline-run-*/*.wandb")
    inspect = [sys.executable, "-m", "wandb", "leet", "inspect", str(file), "--json"]
    printed = subprocess.run([*inspect, "--summary"], capture_output=True, check=True).stdout
    values, record = json.loads(printed)["summary"], read_record(run / "depth_sweep.json")
    for subset in SUBSETS:
        assert values[f"by_depth/{subset}/wer"] == pytest.approx(wers(record, subset)[4])  # the last that was logged
        for depth, wer in wers(record, subset).items():
            assert values[f"test/{subset}/wer/depth_0{depth}"] == pytest.approx(wer)


def test_a_run_and_a_sweep_count_the_same(trained: tuple[Path, str], fold_command: Command) -> None:
    fold_command("sweep", f"--ckpt_path={trained[0]}/checkpoints/last.ckpt", "--output=one")
    one, two = (read_record(folder / "depth_sweep.json") for folder in (Path("one"), trained[0]))
    assert one.rows == two.rows and one.references == two.references
    assert all(one.of(subset).references == two.of(subset).references for subset in SUBSETS)


def test_a_sweep_of_one_subset(trained: tuple[Path, str], fold_command: Command, tmp_path: Path) -> None:
    checkpoint = f"--ckpt_path={trained[0]}/checkpoints/last.ckpt"
    fold_command("sweep", checkpoint, "--subsets=[test-other]", "--budget.within=2")
    record, whole = (read_record(trained[0] / name / "depth_sweep.json") for name in ("sweep-test-other", "."))
    assert record.subsets == ("test-other",)
    assert record.rows == whole.of("test-other").rows and record.references == whole.of("test-other").references
    refused = fold_command("sweep", checkpoint, "--subsets=[test-noisy]", check=False)
    assert (refused.status, len(refused.stderr.splitlines())) == (2, 1)
    assert "no subset 'test-noisy' was prepared; there are: test-clean, test-other" in refused.stderr

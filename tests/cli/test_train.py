"""`fold fit` as a user runs it: one command, a run folder with everything in it."""

import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import Finished

from fold.metrics.errors import count_errors
from fold.report.budget import Budget, advice
from fold.report.record import read_record
from fold.training.wandb_dashboard import metrics, patterns

Command = Callable[..., Finished]
STEPS = 200


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tones_config: Path, fold_process: Command) -> tuple[Path, str]:
    """A run that has learned the tones, and what it printed."""
    folder = tmp_path_factory.mktemp("trained")
    validation = ["--trainer.check_val_every_n_epoch=null", "--trainer.val_check_interval=150"]
    done = fold_process(folder, "fit", f"--config={tones_config}", f"--trainer.max_steps={STEPS}", *validation)
    return folder / "runs" / "tones" / "latest", done.stdout


def read_rows(file: Path) -> list[dict[str, str]]:
    with file.open() as stream:
        return list(csv.DictReader(stream))


def test_training_learns_at_every_depth(trained: tuple[Path, str]) -> None:
    rows = read_rows(trained[0] / "depth_sweep.csv")
    assert [int(row["depth"]) for row in rows] == [2, 3, 3, 4]  # all paths of 2 layers, 1-2 repeats
    assert {row["path"] for row in rows} == {"1-2", "1-1-2", "1-2-2", "1-1-2-2"}
    assert all(float(row["wer"]) < 10 for row in rows), rows
    assert len({row["num_params"] for row in rows}) == 1
    assert all(int(row["sentences"]) == 30 for row in rows)


def test_run_folder_is_complete_and_named_last(trained: tuple[Path, str]) -> None:
    run, printed = trained
    for name in ("config.yaml", "depth_sweep.csv", "depth_sweep.json", "depth_sweep.png", "metrics.csv", "wandb"):
        assert (run / name).exists(), name
    assert {file.name for file in (run / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt", "last-1.ckpt"}
    assert run.is_symlink()
    assert f"run: runs/tones/{run.resolve().name}" in printed.splitlines()
    assert {"sample.wav"} <= {file.name for file in run.iterdir()}
    logged = read_rows(run / "metrics.csv")
    assert any(row["val/wer/depth_04"] for row in logged)
    assert any(row["train/distillation"] for row in logged)
    rates = [float(row["train/lr"]) for row in logged if row["train/lr"]]
    assert 0 < min(rates) < max(rates) <= 3e-3  # of OneCycleLR


def test_wandb_run_read_back_holds_config_losses_and_depths(trained: tuple[Path, str]) -> None:
    [file] = (trained[0] / "wandb").glob("offline-run-*/*.wandb")
    wandb = [sys.executable, "-m", "wandb", "leet", "inspect", str(file), "--json"]
    summary = json.loads(subprocess.run([*wandb, "--summary"], capture_output=True, check=True).stdout)
    values, config = summary["summary"], summary["config"]
    for name in ("train/loss", "train/task_seed", "train/task_sampled", "train/task_deepest", "train/distillation"):
        assert name in values, name
    for depth in (2, 3, 4):
        assert f"test/wer/depth_{depth:02d}" in values
    assert set(metrics()) - {"by_depth/depth"} <= set(values)  # every panel of the dashboard has its data
    assert all(any(re.search(pattern, name) for name in values) for pattern in patterns())
    assert "test/wer_by_depth_table" in values
    assert values["model/physical_layers"] == 2
    assert f'"max_steps":{STEPS}' in json.dumps(config, separators=(",", ":")) or (config["trainer.max_steps"] == STEPS)


def test_the_depth_axis_of_wandb_has_a_point_a_depth(trained: tuple[Path, str]) -> None:
    [file] = (trained[0] / "wandb").glob("offline-run-*/*.wandb")
    inspect = [sys.executable, "-m", "wandb", "leet", "inspect", str(file), "--json"]
    printed = subprocess.run(inspect, capture_output=True, check=True, text=True).stdout
    items = [line["history"]["item"] for line in map(json.loads, printed.splitlines()) if "history" in line]
    found = {item["by_depth/depth"]: item["by_depth/wer"] for item in items if "by_depth/depth" in item}
    canonical = read_record(trained[0] / "depth_sweep.json").canonical
    assert found == pytest.approx({depth: row.wer for depth, row in canonical.items()})
    assert '"name":"by_depth/wer"' in printed and '"step_metric":"by_depth/depth"' in printed


def test_the_record_of_a_run_has_what_was_said_and_what_it_took(trained: tuple[Path, str]) -> None:
    run = trained[0]
    record = read_record(run / "depth_sweep.json")
    assert len(record.references) == 30
    assert [str(row.wer) for row in record.rows] == [row["wer"] for row in read_rows(run / "depth_sweep.csv")]
    for row in record.canonical.values():
        said = record.hypotheses(row.path)
        errors = sum(count_errors(text, said[id]).word_errors for id, text in record.references.items())
        assert errors == row.substitutions + row.deletions + row.insertions
        assert 0 < record.real_time_factors[row.path] < 1
    assert (record.name, record.num_layers, record.split) == ("tones", 2, "test")
    assert (record.training.updates, record.training.processes) == (STEPS, 1)
    assert 0 < record.training.hours < 0.1 and 0 < record.training.cpu_hours < 0.1
    assert record.training.device == record.device and len(record.training.data) == 16
    assert record.decoding["method"] == "greedy"
    assert record.settings["model"]["network"]["init_args"]["dim"] == 32


def test_checkpoints_of_one_run_are_compared_each_by_itself(
    trained: tuple[Path, str], fold_command: Command, tmp_path: Path
) -> None:
    for name in ("best", "last"):
        shutil.copy(trained[0] / "checkpoints" / f"{name}.ckpt", tmp_path)
    best, last = tmp_path / "best.ckpt", tmp_path / "last.ckpt"
    done = fold_command("compare", f"a={best}", f"b={last}", "--output", tmp_path / "out")
    kept = [read_record(tmp_path / f"{file.stem}.test.json") for file in (best, last)]
    assert [record.training.updates for record in kept] == [150, STEPS]
    assert "\na\n" in done.stdout and "\nb\n" in done.stdout
    written = (tmp_path / "best.test.json").stat().st_mtime_ns
    refused = fold_command("compare", best, last, check=False)
    assert "2 evaluations of runs with the same random seeds" in refused.stderr
    assert (tmp_path / "best.test.json").stat().st_mtime_ns == written  # not evaluated once more


def test_checkpoint_describes_itself(trained: tuple[Path, str], fold_command: Command, tmp_path: Path) -> None:
    run = trained[0]
    checkpoint = run / "checkpoints" / "last.ckpt"
    done = fold_command("sweep", "--ckpt_path", checkpoint, "--output", tmp_path / "sweep", "--budget.within=1000")
    swept, tested = (read_record(folder / "depth_sweep.json") for folder in (tmp_path / "sweep", run))
    assert (swept.references, swept.errors, swept.settings) == (tested.references, tested.errors, tested.settings)
    assert [row.wer for row in swept.rows] == pytest.approx([row.wer for row in tested.rows])
    assert swept.training.updates == STEPS
    assert swept.training.hours == pytest.approx(tested.training.hours, rel=0.2)
    [told] = [line for line in done.stdout.splitlines() if "of the lowest: depth" in line]
    assert told.split(", real")[0] == advice(swept, Budget(within=1000)).split(", real")[0]


def test_a_sweep_beyond_the_repeats_of_training(
    trained: tuple[Path, str], fold_command: Command, tmp_path: Path
) -> None:
    last = trained[0] / "checkpoints" / "last.ckpt"
    fold_command("sweep", "--ckpt_path", last, "--max_repeats=3", "--depths=[4,6]", "--output", tmp_path / "deep")
    record = read_record(tmp_path / "deep" / "depth_sweep.json")
    assert {depth: row.path for depth, row in record.canonical.items()} == {4: "1-1-2-2", 6: "1-1-1-2-2-2"}


def test_the_canonical_order_reaches_every_sweep(tones_config: Path, fold_command: Command, tmp_path: Path) -> None:
    options = ("--model.network.num_layers=3", "--model.canonical_order=last", "--trainer.max_steps=1")
    fold_command("fit", "--config", tones_config, *options, "--run_dir=run")
    tested = read_record(tmp_path / "run" / "depth_sweep.json")
    assert tested.canonical[5].path == "1-2-2-3-3"
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    fold_command("sweep", "--ckpt_path", last, "--max_repeats=3", "--depths=[5,8]", "--output", tmp_path / "deep")
    deep = read_record(tmp_path / "deep" / "depth_sweep.json")
    assert {depth: row.path for depth, row in deep.canonical.items()} == {5: "1-2-2-3-3", 8: "1-1-2-2-2-3-3-3"}


def test_overrides_reach_the_run(tones_config: Path, fold_command: Command, tmp_path: Path) -> None:
    fold_command(
        "fit",
        "--config",
        tones_config,
        "--model.network.dim=16",
        "--model.objective.distillation.weight=0.25",
        "--trainer.max_steps=3",
        "--run_dir=here",
    )
    config = yaml.safe_load((tmp_path / "here" / "config.yaml").read_text())
    assert config["model"]["network"]["init_args"]["dim"] == 16
    assert config["model"]["objective"]["distillation"]["weight"] == 0.25
    assert config["model"]["lr_scheduler"]["init_args"]["total_steps"] == 3  # interpolated from the override
    assert (tmp_path / "here" / "checkpoints" / "last.ckpt").exists()


@pytest.mark.parametrize(
    ("argument", "named"),
    [
        ("--model.network.dimm=16", "dimm"),
        ("--trainer.max_stepz=3", "max_stepz"),
        ("--model.max_depth=9", "max_depth is 9"),
        ("--model.network.kernel_size=8", "kernel_size is 8"),
        ("--model.test_decoding.beam_size=0", "beam_size is 0"),
        ("--config=nowhere.yaml", "nowhere.yaml"),
    ],
)
def test_wrong_argument_is_refused_in_one_line(
    tones_config: Path, fold_command: Command, argument: str, named: str
) -> None:
    done = fold_command("fit", "--config", tones_config, argument, check=False)
    told = [line for line in done.stderr.splitlines() if "Seed set" not in line]
    assert done.status == 2
    assert len(told) == 1, done.stderr
    assert told[0].startswith("fold fit: ")
    assert named in told[0]


@pytest.mark.parametrize("setting", ["decoding", "test_decoding"])
def test_a_decoder_that_the_model_lacks_is_missed_before_the_first_step(
    tones_config: Path, fold_command: Command, tmp_path: Path, setting: str
) -> None:
    options = [f"--config={tones_config}", f"--model.{setting}.method=beam", "--run_dir=run", "--trainer.logger=false"]
    done = fold_command("fit", *options, check=False)
    assert done.status == 2
    assert f"fold fit: {setting}.ctc_weight is 0.3: this model has no attention decoder" in done.stderr
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_unknown_command_is_refused_in_one_line(fold_command: Command) -> None:
    done = fold_command("fitt", check=False)
    assert done.status == 2
    assert done.stderr.count("\n") == 1
    assert "transcribe" in done.stderr


def test_predict_and_validate_take_a_checkpoint(
    trained: tuple[Path, str], tones_config: Path, fold_command: Command, tmp_path: Path
) -> None:
    options = ["--config", tones_config, "--ckpt_path", trained[0] / "checkpoints" / "last.ckpt", "--run_dir=out"]
    fold_command("predict", *options)
    lines = (tmp_path / "out" / "transcripts.tsv").read_text().splitlines()
    assert len({line.split("\t")[0] for line in lines}) == 30
    assert {word for line in lines for word in line.split("\t")[1].split()} >= set("abcd")
    printed = fold_command("validate", *options).stdout
    assert "val/wer/depth_04" in printed

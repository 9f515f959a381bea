"""`fold fit` as a user runs it: one command, a run folder with everything in it."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import Finished

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
    for name in ("config.yaml", "depth_sweep.csv", "depth_sweep.png", "metrics.csv", "wandb"):
        assert (run / name).exists(), name
    assert {file.name for file in (run / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt", "last-1.ckpt"}
    assert run.is_symlink()
    assert f"run: runs/tones/{run.resolve().name}" in printed.splitlines()[-1]
    logged = read_rows(run / "metrics.csv")
    assert any(row["val/wer/depth_04"] for row in logged)
    assert any(row["train/distillation"] for row in logged)


def test_wandb_run_read_back_holds_config_losses_and_depths(trained: tuple[Path, str]) -> None:
    [file] = (trained[0] / "wandb").glob("offline-run-*/*.wandb")
    wandb = [sys.executable, "-m", "wandb", "leet", "inspect", str(file), "--json"]
    summary = json.loads(subprocess.run([*wandb, "--summary"], capture_output=True, check=True).stdout)
    values, config = summary["summary"], summary["config"]
    for name in ("train/loss", "train/task_seed", "train/task_sampled", "train/task_deepest", "train/distillation"):
        assert name in values, name
    for depth in (2, 3, 4):
        assert f"test/wer/depth_{depth:02d}" in values
    assert {"val/wer/depth_02", "val/wer/depth_04", "test/depth_sweep", "test/depth_sweep_figure"} <= set(values)
    assert f'"max_steps":{STEPS}' in json.dumps(config, separators=(",", ":")) or (config["trainer.max_steps"] == STEPS)


def test_checkpoint_describes_itself(trained: tuple[Path, str], fold_command: Command, tmp_path: Path) -> None:
    run = trained[0]
    checkpoint = run / "checkpoints" / "last.ckpt"
    fold_command("sweep", "--ckpt_path", checkpoint, "--output", tmp_path / "sweep")
    swept, tested = read_rows(tmp_path / "sweep" / "depth_sweep.csv"), read_rows(run / "depth_sweep.csv")
    assert [(row["path"], row["words"]) for row in swept] == [(row["path"], row["words"]) for row in tested]
    assert [float(row["wer"]) for row in swept] == pytest.approx([float(row["wer"]) for row in tested])


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
    assert config["checkpoint"]["dirpath"] == "here/checkpoints"


@pytest.mark.parametrize(
    ("argument", "named"),
    [
        ("--model.network.dimm=16", "dimm"),
        ("--trainer.max_stepz=3", "max_stepz"),
        ("--model.max_depth=9", "max_depth is 9"),
        ("--model.network.kernel_size=8", "kernel_size is 8"),
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

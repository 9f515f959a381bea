"""Killed anywhere, a run goes on with the same command and ends as if nothing had happened."""

import csv
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import Finished
from torture.kills import Whole, command, finish, kill, killed_runs, lost, start

Command = Callable[..., Finished]


def test_whatever_ends_a_run_of_two_processes_nothing_is_lost(
    whole: Callable[[int], Whole], tones_config: Path, tmp_path: Path
) -> None:
    """One of them is told to end, then both are killed."""
    run, log = tmp_path / "run", tmp_path / "run.log"
    go_on = command(tones_config, run, 2, workers=0)
    process = start(go_on, log)
    while not (run / "checkpoints" / "last.ckpt").exists():
        assert process.poll() is None, log.read_text()
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGUSR1)
    told = time.monotonic()
    assert process.wait(timeout=60) == 2
    assert time.monotonic() - told < 30
    assert "ended by SIGUSR1 in training" in log.read_text()
    assert "Traceback" not in log.read_text() and "killed by signal" not in log.read_text(), log.read_text()
    assert kill(go_on, log, run, 0.2, signal.SIGKILL)
    finish(go_on, log, run)
    assert lost(whole(2).run, run) == []


@pytest.mark.slow
@pytest.mark.parametrize(("processes", "workers"), [(1, 0), (1, 2), (2, 0)])
def test_a_killed_run_ends_with_the_same_bits(
    processes: int, workers: int, whole: Callable[[int], Whole], tones_config: Path, tmp_path: Path
) -> None:
    runs = list(killed_runs(tones_config, tmp_path, whole(processes), kills=1, kills_a_run=1, workers=workers))
    assert runs and all(lost == [] for _, lost in runs), runs


@pytest.fixture
def begun(tones_config: Path, fold_command: Command, tmp_path: Path) -> list[str]:
    """The command that goes on with a run of four steps, in the middle of an epoch."""
    options = [f"--config={tones_config}", "--run_dir=run", "--data.batch_seconds=15"]
    schedule = "--model.lr_scheduler={class_path: torch.optim.lr_scheduler.ConstantLR, init_args: {factor: 1.0}}"
    fold_command("fit", *options, schedule, "--trainer.max_steps=4")
    return ["fit", *options, schedule, "--ckpt_path=last", "--trainer.max_steps=6"]


def last(folder: Path) -> dict:
    return torch.load(folder / "run" / "checkpoints" / "last.ckpt", weights_only=True)


def test_overrides_are_honoured_and_told(begun: list[str], fold_command: Command, tmp_path: Path) -> None:
    time.sleep(1.1)  # W&B names the folders of offline runs by the second
    done = fold_command(*begun, "--model.optimizer.weight_decay=0.25", "--model.optimizer.lr=0.001")
    assert last(tmp_path)["global_step"] == 6
    [group] = last(tmp_path)["optimizer_states"][0]["param_groups"]
    assert (group["lr"], group["weight_decay"]) == (0.001, 0.25)
    assert "resumed with model.optimizer.init_args.lr: 0.003 -> 0.001" in done.stdout
    assert "resumed with trainer.max_steps: 4 -> 6" in done.stdout
    assert (tmp_path / "run" / "metrics-1.csv").exists()  # the log of the first part
    ids = {folder.name.rsplit("-", 1)[-1] for folder in (tmp_path / "run" / "wandb").glob("offline-run-*")}
    assert len(list((tmp_path / "run" / "wandb").glob("offline-run-*"))) == 2 and len(ids) == 1  # one W&B run


def test_another_optimizer_cannot_go_on(begun: list[str], fold_command: Command, tmp_path: Path) -> None:
    before = (tmp_path / "run" / "checkpoints" / "last.ckpt").read_bytes()
    done = fold_command(*begun, "--model.optimizer=torch.optim.AdamW", check=False)
    assert done.status == 2
    assert (
        "the checkpoint holds the state of fold.training.muon.MuonWithAdam" in done.stderr
        and "--init_from" in done.stderr
    )
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").read_bytes() == before


@pytest.mark.parametrize("parts", ["unfolding.layers.1: 2", "unfolding.layers.0: 2, ctc_head: 3"])
def test_the_optimizer_keeps_its_groups(parts: str, tones_config: Path, fold_command: Command, tmp_path: Path) -> None:
    """Its state goes by the places of weights: in other groups as large, it would be that of other weights."""
    schedule = "--model.lr_scheduler={class_path: torch.optim.lr_scheduler.ConstantLR, init_args: {factor: 1.0}}"
    options = ["fit", f"--config={tones_config}", "--run_dir=run", schedule]
    fold_command(*options, "--model.learning_rates={unfolding.layers.0: 2}")
    done = fold_command(*options, "--ckpt_path=last", f"--model.learning_rates={{{parts}}}", check=False)
    assert done.status == 2 and "give model.learning_rates the same parts in the same order" in done.stderr
    fold_command(*options, "--ckpt_path=last", "--model.learning_rates={unfolding.layers.0: 3}")  # the rates may change


def test_other_batches_begin_the_epoch_again(
    begun: list[str], fold_command: Command, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert last(tmp_path)["SpeechData"]["step"] == 4
    fold_command(*begun, "--data.batch_seconds=12")
    assert last(tmp_path)["global_step"] == 6
    assert last(tmp_path)["SpeechData"]["step"] == 2
    assert "batch_seconds: 15.0 -> 12.0" in caplog.text and "begins again" in caplog.text


def test_on_other_devices_a_run_goes_on_where_it_stood(
    tones_config: Path, fold_command: Command, fold_process: Command, tmp_path: Path
) -> None:
    """One process accumulates two batches for an update, two processes none: Lightning counts other batches."""
    options = [f"--config={tones_config}", "--run_dir=run", "--data.update_seconds=30", "--data.batch_seconds=15"]
    validation = ["--trainer.check_val_every_n_epoch=null", "--trainer.val_check_interval=3"]
    schedule = "--model.lr_scheduler={class_path: torch.optim.lr_scheduler.ConstantLR, init_args: {factor: 1.0}}"
    common = ["fit", *options, *validation, schedule]
    fold_command(*common, "--trainer.devices=1", "--trainer.max_steps=2")
    assert (last(tmp_path)["SpeechData"]["step"], last(tmp_path)["SpeechData"]["accumulate"]) == (2, 2)
    done = fold_process(tmp_path, *common, "--trainer.devices=2", "--ckpt_path=last", "--trainer.max_steps=4")
    assert "begins again" not in done.stderr
    assert (last(tmp_path)["SpeechData"]["step"], last(tmp_path)["SpeechData"]["accumulate"]) == (4, 1)
    with (tmp_path / "run" / "metrics.csv").open() as stream:
        validated = [int(row["step"]) + 1 for row in csv.DictReader(stream) if row["val/wer/mean"]]
    assert validated == [3]


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("--model.network.dim=16", "was trained with model.network.dim=32, not 16"),
        ("--data.units={kind: sentencepiece, vocab_size: 10}", "has other units"),
        (
            "--model.lr_scheduler={class_path: torch.optim.lr_scheduler.OneCycleLR, "
            "init_args: {max_lr: 0.003, total_steps: 3}}",
            "at step 4, which the schedule does not reach",
        ),
    ],
)
def test_an_override_that_does_not_fit_is_refused_in_one_line(
    begun: list[str], override: str, named: str, fold_command: Command, tmp_path: Path
) -> None:
    before = (tmp_path / "run" / "checkpoints" / "last.ckpt").read_bytes()
    shards = ["--data.shards=elsewhere"] if "data.units" in override else []  # not among what other tests share
    done = fold_command(*begun, override, *shards, "--allow_changes=true", check=False)
    assert done.status == 2
    [told] = [line for line in done.stderr.splitlines() if line.startswith("fold fit: ")]
    assert named in told
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").read_bytes() == before  # nothing saved is lost


def test_without_a_checkpoint_a_run_starts_from_the_beginning(
    tones_config: Path, fold_command: Command, tmp_path: Path
) -> None:
    done = fold_command("fit", f"--config={tones_config}", "--ckpt_path=last", "--run_dir=run")
    assert "training starts from the beginning" in done.stdout
    assert last(tmp_path)["global_step"] == 2

"""A signal to the whole process group, as SLURM and terminals send them, costs a run nothing."""

import csv
import itertools
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import Finished
from torture.kills import Whole, command, finish, heed_ctrl_c, lost, start

WHEN = {"train": "training", "validation": "a validation", "test": "the final sweep"}
ALL = list(itertools.product(WHEN, (1, 2), (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)))


def sends(number: signal.Signals, phase: str, step: int) -> str:
    settings = f"{{number: {int(number)}, phase: {phase}, step: {step}}}"
    return f"--trainer.callbacks+={{class_path: interrupting.SignalsItsGroup, init_args: {settings}}}"


def validated_steps(run: Path) -> list[str]:
    """At which updates a run was validated, its interrupted parts included."""
    rows = [row for file in run.glob("metrics*.csv") for row in csv.DictReader(file.open())]
    return sorted(row["step"] for row in rows if row.get("val/wer/mean"))


@pytest.mark.slow  # minutes together
@pytest.mark.parametrize(("phase", "processes", "number"), ALL)
@pytest.mark.parametrize("step", [12])  # where a validation is due, so that training is left where one follows
def test_a_signal_to_the_process_group_costs_nothing(
    phase: str,
    processes: int,
    number: signal.Signals,
    step: int,
    whole: Callable[[int], Whole],
    tones_config: Path,
    tmp_path: Path,
) -> None:
    run, log = tmp_path / "run", tmp_path / "run.log"
    go_on = command(tones_config, run, processes, workers=1)
    status = start([*go_on, sends(number, phase, step - (phase == "train"))], log).wait(timeout=120)
    printed = log.read_text()
    assert (tmp_path / "signalled").exists() and status == 2, printed
    [told] = [line for line in printed.splitlines() if line.startswith("fold fit: ")]
    assert told.startswith(f"fold fit: ended by {number.name} in {WHEN[phase]}, step "), told
    assert "RESUME=1" in told and f"--run_dir={run}" in told
    assert "Traceback" not in printed and "killed by signal" not in printed, printed
    finish(go_on, log, run)
    assert lost(whole(processes).run, run) == []
    assert validated_steps(run) == validated_steps(whole(processes).run)


@pytest.mark.slow
@pytest.mark.parametrize("accumulated", [1, 2])
def test_a_signal_in_a_validation_at_the_end_of_an_epoch_costs_nothing(
    accumulated: int, tones_config: Path, tmp_path: Path
) -> None:
    epochs = ["--trainer.check_val_every_n_epoch=1", "--trainer.val_check_interval=1.0"]
    epochs.append(f"--data.batch_seconds={20 / accumulated}")  # of updates of 20 s
    whole, run = tmp_path / "whole", tmp_path / "run"
    finish([*command(tones_config, whole, 1, 0), *epochs], tmp_path / "whole.log", whole)
    log, go_on = tmp_path / "run.log", [*command(tones_config, run, 1, 1), *epochs]
    assert start([*go_on, sends(signal.SIGTERM, "validation", 10)], log).wait(timeout=120) == 2
    assert "ended by SIGTERM in a validation, step " in log.read_text()
    finish(go_on, log, run)
    assert lost(whole, run) == []
    assert validated_steps(run) == validated_steps(whole)


WATCHING = """
import signal, time
from fold.signals import EndingSignals
signals = EndingSignals()
signals.watch()
print("watching", flush=True)
while True:
    time.sleep(0.01)
    if signals.received:
        print(signal.Signals(signals.received).name, flush=True)
        signals.received = 0
"""


def test_a_second_ctrl_c_ends_at_once_and_what_is_ignored_stays_so() -> None:
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "preexec_fn": heed_ctrl_c}
    with subprocess.Popen(["nohup", sys.executable, "-c", WATCHING], **how) as process:
        assert process.stdout.readline() == "watching\n"
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "SIGINT\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == -signal.SIGINT
        assert "Ctrl-C once more ends at once" in process.stderr.read()


def test_training_that_diverges_ends_in_one_line_and_leaves_finite_checkpoints(
    tones_config: Path, fold_command: Callable[..., Finished], tmp_path: Path
) -> None:
    options = [f"--config={tones_config}", "--run_dir=run", "--checkpoint.every_minutes=0", "--trainer.max_steps=30"]
    absurd = "--model.optimizer={class_path: torch.optim.SGD, init_args: {lr: 1.0e+4}}"
    schedule = "--model.lr_scheduler={class_path: torch.optim.lr_scheduler.ConstantLR, init_args: {factor: 1.0}}"
    done = fold_command("fit", *options, absurd, schedule, "--trainer.gradient_clip_val=null", check=False)
    [told] = [line for line in done.stderr.splitlines() if line.startswith("fold fit: ")]
    assert done.status == 2 and "learning rate" in told, done.stderr
    for file in (tmp_path / "run" / "checkpoints").glob("*.ckpt"):
        weights = torch.load(file, weights_only=True)["state_dict"]
        assert all(weight.isfinite().all() for weight in weights.values()), file

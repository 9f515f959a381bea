"""A signal to the whole process group, as SLURM and terminals send them, costs a run nothing."""

import csv
import itertools
import signal
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from torture.kills import Whole, command, finish, lost, start, uninterrupted

WHEN = {"train": "training", "validation": "a validation", "test": "the final sweep"}
OFTEN = [  # two ranks and one, each phase, each signal
    ("train", 2, signal.SIGTERM),
    ("validation", 1, signal.SIGUSR1),
    ("test", 1, signal.SIGINT),
]
ALL = list(itertools.product(WHEN, (1, 2), (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)))


@pytest.fixture(scope="module")
def whole(tones_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Whole]:
    """The uninterrupted run of one or two processes, made once."""
    folder = tmp_path_factory.mktemp("whole")
    return cache(lambda processes: uninterrupted(tones_config, folder, processes))


def sends(number: signal.Signals, phase: str, step: int) -> str:
    settings = f"{{number: {int(number)}, phase: {phase}, step: {step}}}"
    return f"--trainer.callbacks+={{class_path: interrupting.SignalsItsGroup, init_args: {settings}}}"


def validated_steps(run: Path) -> list[str]:
    """At which updates a run was validated, its interrupted parts included."""
    rows = [row for file in run.glob("metrics*.csv") for row in csv.DictReader(file.open())]
    return sorted(row["step"] for row in rows if row.get("val/wer/mean"))


@pytest.mark.parametrize(
    ("phase", "processes", "number"),
    [*OFTEN, *(pytest.param(*one, marks=pytest.mark.slow) for one in ALL if one not in OFTEN)],
)
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

"""Runs that are killed at random moments and resumed must end as if nothing had happened, to the last bit."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from fold.training.run_folder import STAMP
from torture import Tally

Signals = Sequence[signal.Signals]

KILLING = (signal.SIGKILL,)
ASKING = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)  # the run to save and end
TESTS = Path(__file__).parent.parent
STEPS = 40
COMPARED = ("state_dict", "current_state", "averaged_updates", "optimizer_states", "lr_schedulers", "SpeechData")
SETTINGS = (  # randomness of every kind, averages, a validation and several epochs; one process accumulates two batches
    f"--trainer.max_steps={STEPS}",
    "--trainer.check_val_every_n_epoch=null",
    "--trainer.val_check_interval=12",
    "--trainer.callbacks+=fold.training.callbacks.WeightAverage",
    "--model.network.dropout=0.1",
    "--model.network.spec_augment={time_warp: 5}",
    "--data.speeds=[0.9, 1.0, 1.1]",
    "--data.update_seconds=20",
    "--data.batch_seconds=10",
    "--data.eval_batch_seconds=4",  # several batches
    "--checkpoint.every_minutes=0.001",
)


def command(config: Path, run_dir: Path, processes: int, workers: int) -> list[str]:
    """The one command that starts a run and goes on with it."""
    places = [f"--config={config}", f"--run_dir={run_dir}", "--ckpt_path=last"]
    sizes = [f"--trainer.devices={processes}", f"--data.num_workers={workers}"]
    return [sys.executable, "-m", "fold", "fit", *places, *SETTINGS, *sizes]


def start(arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Starts a run as the head of its own process group."""
    kept = {name: value for name, value in os.environ.items() if "WANDB" not in name and name != STAMP}
    environment = {**kept, "PYTHONPATH": f"{TESTS}:{TESTS.parent}", "OMP_NUM_THREADS": "1"}
    with log.open("ab") as stream:
        return subprocess.Popen(
            arguments,
            cwd=log.parent,
            env=environment,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            preexec_fn=heed_ctrl_c,
        )


def heed_ctrl_c() -> None:
    """What runs in the background of a script ignores Ctrl-C, and so do its children; tests may run there."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finish(arguments: list[str], log: Path, run: Path) -> float:
    """Runs to the end. Returns the seconds from the start of training, when it writes its configuration."""
    process = start(arguments, log)
    if process.wait(timeout=600):
        raise AssertionError(f"the run failed:\n{log.read_text()[-3000:]}")
    return time.time() - (run / "config.yaml").stat().st_mtime


def kill(arguments: list[str], log: Path, run: Path, seconds: float, number: signal.Signals) -> bool:
    """Sends a signal to all processes of a run `seconds` after training began. Returns whether that ended it."""
    process, started = start(arguments, log), time.time()
    config = run / "config.yaml"
    while process.poll() is None:
        if config.exists() and started < config.stat().st_mtime < time.time() - seconds:
            os.killpg(process.pid, number)
            status = process.wait(timeout=120)
            if status == 2 and f"fold fit: ended by {number.name} in " not in log.read_text():
                raise AssertionError(f"the run did not tell why it ended:\n{log.read_text()[-3000:]}")
            return status != 0
        time.sleep(0.002)
    if process.returncode:
        raise AssertionError(f"the run failed:\n{log.read_text()[-3000:]}")
    return False


@dataclass(frozen=True)
class Whole:
    """A run that nothing interrupted. seconds: from the start of training."""

    run: Path
    processes: int
    seconds: float


def uninterrupted(config: Path, folder: Path, processes: int) -> Whole:
    """What interrupted runs are compared with, whatever workers these use."""
    run = folder / f"whole-{processes}"
    return Whole(run, processes, finish(command(config, run, processes, 0), folder / f"{run.name}.log", run))


def kills(
    number: int, config: Path, folder: Path, processes: int, workers: int = 0, signals: Signals = KILLING
) -> Tally:
    """Kills runs `number` times, three times each, by one of some signals each time."""
    whole = uninterrupted(config, folder, processes)
    runs = killed_runs(config, folder, whole, kills=number, kills_a_run=3, workers=workers, signals=signals)
    tallies = [(killed, 0 if lost_here else killed) for killed, lost_here in tqdm(runs)]
    tried, survived = map(sum, zip(*tallies, strict=True))
    names = "/".join(one.name for one in signals)
    return Tally(f"{names} to all of {processes} process(es) with {workers} worker(s) each", tried, survived)


def killed_runs(
    config: Path,
    folder: Path,
    whole: Whole,
    *,
    kills: int,
    kills_a_run: int,
    workers: int,
    signals: Signals = KILLING,
    seed: int = 0,
) -> Iterator[tuple[int, list[str]]]:
    """Kills runs `kills` times in all and lets each go on to its end. Yields, for each run, how often it was killed
    and what it lost."""
    dice = random.Random(f"{seed} {whole.processes} {workers}")
    done = 0
    for number in itertools.count():
        if done >= kills:
            return
        run, log = folder / f"killed-{number}", folder / f"killed-{number}.log"
        arguments = command(config, run, whole.processes, workers)
        moments = [dice.uniform(0.0, 1.0) * whole.seconds for _ in range(min(kills_a_run, kills - done))]
        killed = sum(kill(arguments, log, run, moment, dice.choice(signals)) for moment in moments)
        finish(arguments, log, run)
        done += killed
        yield killed, lost(whole.run, run)


def lost(whole: Path, resumed: Path) -> list[str]:
    """What differs between an uninterrupted run and a resumed one: nothing, if nothing was lost."""
    one, other = (torch.load(run / "checkpoints" / "last.ckpt", weights_only=True) for run in (whole, resumed))
    found = [name for name in COMPARED if not same(one[name], other[name])]
    if (whole / "depth_sweep.csv").read_bytes() != (resumed / "depth_sweep.csv").read_bytes():
        found.append("depth sweep")
    if one["global_step"] != STEPS or other["global_step"] != STEPS:
        found.append("steps")
    return found


def same(one: Any, other: Any) -> bool:
    """Whether two nested values are equal, tensors bit for bit."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other

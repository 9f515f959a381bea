"""A run's folder belongs to one run, and to one process at a time."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from conftest import Finished

from fold.errors import FoldError
from fold.training import run_folder
from fold.training.run_folder import LATEST, STAMP, held, newest_run, stamp_run
from fold.training.scheduler import job_name, requeue

Command = Callable[..., Finished]
SCHEDULE = "--model.lr_scheduler={class_path: torch.optim.lr_scheduler.ConstantLR, init_args: {factor: 1.0}}"
LATE = (  # ends before what has been done
    "--model.lr_scheduler={class_path: torch.optim.lr_scheduler.OneCycleLR, init_args: {max_lr: 0.003, total_steps: 1}}"
)
SCHEDULED = {
    "slurm-7": {"SLURM_JOB_ID": "7", "SLURM_PROCID": "3", "SLURM_JOB_NAME": "train"},
    "slurm-5_2": {"SLURM_JOB_ID": "7", "SLURM_ARRAY_JOB_ID": "5", "SLURM_ARRAY_TASK_ID": "2"},
    "torchrun-ab": {"TORCHELASTIC_RUN_ID": "ab", "RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2"},
}


@pytest.fixture(autouse=True)
def no_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (STAMP, *(name for names in SCHEDULED.values() for name in names)):
        monkeypatch.delenv(name, raising=False)


def contents(run: Path) -> dict[str, bytes]:
    """All that a run has left, without its lock and what W&B's service tells of itself."""
    files = [file for file in run.rglob("*") if file.is_file() and file.name not in (run_folder.LOCK, "debug-core.log")]
    return {str(file.relative_to(run)): file.read_bytes() for file in files}


def told(done: Finished) -> str:
    """The one line of a refusal."""
    assert done.status == 2, done.stdout
    assert "Traceback" not in done.stderr
    [line] = [line for line in done.stderr.splitlines() if line.startswith("fold ")]
    return line


def step(run: Path) -> int:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]


@pytest.fixture
def fit(tones_config: Path, fold_command: Command) -> Command:
    return lambda *options, **more: fold_command("fit", f"--config={tones_config}", SCHEDULE, *options, **more)


@pytest.mark.parametrize("name", SCHEDULED)
def test_a_job_names_its_run(name: str) -> None:
    assert job_name(SCHEDULED[name]) == name


@pytest.mark.parametrize(
    "environment",
    [{}, {"TORCHELASTIC_RUN_ID": "none"}, {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "bash"}],
)
def test_without_a_job_of_its_own_a_run_has_no_such_name(environment: dict[str, str]) -> None:
    assert job_name(environment) is None


def test_runs_of_one_second_have_different_names(monkeypatch: pytest.MonkeyPatch) -> None:
    names = set()
    for _ in range(20):
        monkeypatch.delenv(STAMP, raising=False)
        assert not stamp_run()
        names.add(os.environ[STAMP])
    assert len(names) >= 19 and len({name.rpartition("-")[0] for name in names}) <= 2


def test_a_launched_rank_takes_the_name_of_its_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STAMP, "of-rank-0")
    assert stamp_run() and os.environ[STAMP] == "of-rank-0"


def test_ranks_without_a_common_name_are_refused(fit: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SCHEDULED["torchrun-ab"].items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert "give --run_dir" in told(fit(check=False))


def test_a_requeued_job_goes_on_with_its_run(fit: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SCHEDULED["slurm-5_2"].items():
        monkeypatch.setenv(name, value)
    run = tmp_path / "runs" / "tones" / "slurm-5_2"
    fit("--ckpt_path=last")
    fit("--run_dir=runs/tones/another")  # newer
    assert "holds the checkpoints of a run: --ckpt_path=last" in told(fit(check=False))
    fit("--ckpt_path=last", "--trainer.max_steps=3")
    assert step(run) == 3


@pytest.mark.parametrize(
    "change",
    [
        "random_seed=2",
        "model.random_seed=2",
        "data.random_seed=2",
        "data.corpus.init_args.random_seed=2",
        "data.text.case=keep",
        "model.network.init_args.dim=16",
        "model.max_repeats=3",
        "model.objective.distillation.weight=0.5",
        "model.sampler.init_args.growth={alone: 0, grown: 0}",
    ],
)
@pytest.mark.parametrize("named", [False, True])
def test_another_run_is_not_gone_on_with(
    change: str, named: bool, fit: Command, tmp_path: Path, begun: tuple[Path, dict[str, bytes]]
) -> None:
    run, before = begun
    place = [f"--run_dir={run}"] if named else []
    line = told(fit("--ckpt_path=last", *place, f"--{change}", "--trainer.max_steps=4", check=False))
    assert f"runs/tones/{run.name} holds another run (there -> here: {change.split('=')[0]}" in line
    assert "--run_dir" in line and "--allow_changes=true" in line
    assert contents(run) == before and len(list(run.parent.iterdir())) == 2  # the run and `latest`


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (["--model.optimizer=torch.optim.SGD"], "the checkpoint holds the state of"),
        (["--data.units={kind: sentencepiece, vocab_size: 10}", "--data.shards=elsewhere"], "has other units"),
        ([LATE], "which the schedule does not reach"),
    ],
)
def test_what_cannot_go_on_leaves_the_configuration(
    change: list[str], named: str, begun: tuple[Path, dict], fit: Command
) -> None:
    run, before = begun
    more = ["--allow_changes=true", "--trainer.max_steps=4"]
    assert named in told(fit("--ckpt_path=last", *change, *more, check=False))
    assert contents(run)["config.yaml"] == before["config.yaml"]


@pytest.fixture(scope="module")
def trained(tones_config: Path, fold_once: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a run of two steps was made."""
    folder = tmp_path_factory.mktemp("trained")
    fold_once(folder, "fit", f"--config={tones_config}", SCHEDULE)
    return folder


@pytest.fixture
def begun(trained: Path, tmp_path: Path) -> tuple[Path, dict[str, bytes]]:
    """A run of two steps in its default place, and what it left."""
    shutil.copytree(trained / "runs", tmp_path / "runs", symlinks=True)
    [run] = [run for run in (tmp_path / "runs" / "tones").iterdir() if run.name != LATEST]
    return run.relative_to(tmp_path), contents(run)


def test_the_same_run_goes_on_with_what_may_change(begun: tuple[Path, dict], fit: Command, tmp_path: Path) -> None:
    run = tmp_path / begun[0]
    done = fit("--ckpt_path=last", "--trainer.max_steps=3", "--model.network.dropout=0.1", "--data.batch_seconds=15")
    assert step(run) == 3 and f"run: {begun[0]}" in done.stdout
    fit("--ckpt_path=last", "--trainer.max_steps=4", "--model.random_seed=2", "--allow_changes=true")
    assert step(run) == 4


def test_a_used_folder_is_refused_to_a_new_run(begun: tuple[Path, dict], fit: Command, tmp_path: Path) -> None:
    run, before = begun
    assert f"{run}/checkpoints holds the checkpoints of a run" in told(fit(f"--run_dir={run}", check=False))
    assert "holds the checkpoints" in told(fit("--run_dir=new", f"--checkpoint.dirpath={run}/checkpoints", check=False))
    elsewhere = tmp_path / "elsewhere.ckpt"
    shutil.copy(run / "checkpoints" / "last.ckpt", elsewhere)
    assert "holds the checkpoints" in told(fit(f"--run_dir={run}", f"--ckpt_path={elsewhere}", check=False))
    assert contents(run) == before
    fit("--run_dir=forked", f"--ckpt_path={elsewhere}", "--trainer.max_steps=3", "--model.random_seed=2")
    assert step(tmp_path / "forked") == 3 and contents(run) == before


def test_the_configuration_of_a_run_starts_another(
    begun: tuple[Path, dict], fit: Command, fold_command: Command, tmp_path: Path
) -> None:
    run, _ = begun
    fit("--ckpt_path=last", "--allow_changes=true")  # a run that was gone on with
    before = contents(run)
    fold_command("fit", f"--config={run.parent}/latest/config.yaml")
    assert contents(run) == before
    [other] = [one for one in run.parent.iterdir() if one.name not in (LATEST, run.name)]
    assert step(other) == 2 and (other / "depth_sweep.csv").exists() and (other / "wandb").exists()
    assert os.readlink(run.parent / LATEST) == other.name
    fold_command("fit", f"--config={run}/config.yaml", "--run_dir=third")
    assert step(tmp_path / "third") == 2 and contents(run) == before
    configs = [yaml.safe_load((one / "config.yaml").read_text()) for one in (run, other)]
    assert configs[0] == configs[1] and "run_dir" not in configs[0]


def test_latest_names_runs_with_a_checkpoint_alone(
    begun: tuple[Path, dict], fit: Command, fold_command: Command, tones_config: Path
) -> None:
    run, _ = begun
    last = f"--ckpt_path={run}/checkpoints/last.ckpt"
    fold_command("predict", f"--config={tones_config}", last)
    fold_command("test", f"--config={tones_config}", last)
    fit("--model.decoding.method=beam", check=False)  # the model has no decoder for it
    assert len(list(run.parent.iterdir())) > 3
    assert os.readlink(run.parent / LATEST) == run.name
    assert newest_run(run.parent) == run


def test_a_copied_latest_blocks_nothing(begun: tuple[Path, dict], fit: Command, tmp_path: Path) -> None:
    run, _ = begun
    (run.parent / LATEST).unlink()
    shutil.copytree(run, run.parent / LATEST)
    copied = contents(run.parent / LATEST)
    fit("--ckpt_path=last", "--trainer.max_steps=3")
    assert step(run) == 3
    fit()
    assert contents(run.parent / LATEST) == copied


def test_an_evaluation_leaves_the_configuration_of_a_run(
    begun: tuple[Path, dict], fold_command: Command, tones_config: Path
) -> None:
    run, before = begun
    fold_command("test", f"--config={tones_config}", "--ckpt_path=last", f"--run_dir={run}", "--data.batch_seconds=9")
    assert contents(run)["config.yaml"] == before["config.yaml"]
    assert "holds no checkpoint" in told(
        fold_command("test", f"--config={tones_config}", "--ckpt_path=last", "--run_dir=none", check=False)
    )


HOLDER = """
import sys, time
from multiprocessing import get_context
from pathlib import Path
from fold.training.run_folder import held

with held(Path(sys.argv[1])):
    worker = get_context("fork").Process(target=time.sleep, args=(60,))
    worker.start()
    print(worker.pid, flush=True)
    time.sleep(60)
"""


def test_two_processes_never_write_one_folder(fit: Command, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, "run"], cwd=tmp_path, stdout=subprocess.PIPE) as holder:
        worker = int(holder.stdout.readline())
        try:
            line = told(fit("--run_dir=run", check=False))
            assert f"run is being written by process {holder.pid} on " in line
            assert not (tmp_path / "run" / "checkpoints").exists() and not (tmp_path / "run" / "wandb").exists()
        finally:
            holder.kill()
            holder.wait()
        try:
            fit("--run_dir=run")  # though what the dead process forked is alive
            os.kill(worker, 0)
        finally:
            os.kill(worker, signal.SIGKILL)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(FoldError, match=r"run folder .*/file/run: cannot be written \(Not a directory\)"),
        held(tmp_path / "file" / "run"),
    ):
        pass


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        ('echo "$@" > asked', "job 5_2 is requeued"),
        ("echo denied >&2; exit 1", "`scontrol requeue 5_2` failed: denied"),
        (None, "`scontrol requeue 5_2` failed: .*'scontrol'"),
    ],
)
def test_a_job_that_runs_out_of_time_is_requeued(
    script: str | None, outcome: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in SCHEDULED["slurm-5_2"].items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    if script is not None:
        (tmp_path / "scontrol").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "scontrol").chmod(0o755)
    for other in (signal.SIGTERM, signal.SIGINT):
        assert requeue(other) is None
    assert not (tmp_path / "asked").exists()
    assert re.fullmatch(outcome, requeue(signal.SIGUSR1))
    if (tmp_path / "asked").exists():
        assert (tmp_path / "asked").read_text() == "requeue 5_2\n"
    monkeypatch.delenv("SLURM_JOB_ID")
    assert requeue(signal.SIGUSR1) is None

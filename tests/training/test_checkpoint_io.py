"""A checkpoint survives a kill, a full disk and damage; what is loaded executes nothing."""

import errno
import logging
import math
import multiprocessing
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import lightning
import pytest
import torch
from conftest import Finished
from lightning.pytorch.plugins import TorchCheckpointIO
from torture.kills import start

from fold import sealed
from fold.cli import train
from fold.errors import FoldError
from fold.training.checkpoint_io import SafeCheckpointIO, newest_checkpoint

FORK = multiprocessing.get_context("fork")  # as Lightning takes seconds to import
NUM_TENSORS, TENSOR_SIZE = 25, 10_000  # 1 MB; a tensor is small enough to be filled without a second thread


def content(step: int) -> dict:
    weights = [torch.full((TENSOR_SIZE,), float(step)) for _ in range(NUM_TENSORS)]
    return {"fold": {}, "global_step": step, "weights": weights}


def save(folder: Path, step: int, name: str = "last.ckpt") -> None:
    SafeCheckpointIO().save_checkpoint(content(step), folder / name)


def saved_step(file: Path) -> int:
    """The step of a checkpoint that must be whole."""
    loaded = SafeCheckpointIO().load_checkpoint(file)
    assert all(
        torch.equal(weight, torch.full((TENSOR_SIZE,), float(loaded["global_step"]))) for weight in loaded["weights"]
    )
    return loaded["global_step"]


def listing(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_the_last_two_are_kept_and_other_names_are_replaced(tmp_path: Path) -> None:
    for step in range(1, 4):
        save(tmp_path / "new", step)
        save(tmp_path / "new", 10 * step, "best.ckpt")
    steps = {name: saved_step(tmp_path / "new" / name) for name in os.listdir(tmp_path / "new")}
    assert steps == {"last.ckpt": 3, "last-1.ckpt": 2, "best.ckpt": 30}


def test_a_file_system_without_links_keeps_the_last_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    for step in range(1, 4):
        save(tmp_path, step)
    assert {name: saved_step(tmp_path / name) for name in os.listdir(tmp_path)} == {"last.ckpt": 3, "last-1.ckpt": 2}


def save_for_ever(folder: Path, saved: "multiprocessing.Value") -> None:
    for step in range(saved.value + 1, 1_000_000):
        save(folder, step)
        saved.value = step


def test_a_kill_at_any_moment_leaves_the_newest_checkpoint(tmp_path: Path) -> None:
    choose = random.Random(1)
    saved = FORK.Value("q", 0, lock=False)  # a lock would die with the child that holds it
    save(tmp_path, 0)
    for _ in range(25):
        child = FORK.Process(target=save_for_ever, args=(tmp_path, saved), daemon=True)
        child.start()
        before, end = saved.value, time.monotonic() + 30 * (choose.random() < 0.8)  # most get to saving, however slow
        while saved.value == before and time.monotonic() < end:
            time.sleep(0.001)
        time.sleep(choose.uniform(0.0, 0.06))
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        assert child.exitcode == -signal.SIGKILL
        found = saved_step(newest_checkpoint(tmp_path))
        assert saved.value <= found <= saved.value + 1
        saved.value = found
    assert saved.value > 0


def die_at(event: int, folder: Path) -> None:
    """Saves, and is gone before the `event`-th operation on the file system."""
    left = iter(range(event))

    def hook(name: str, _: tuple) -> None:
        if name in ("open", "os.link", "os.rename", "os.remove") and next(left, None) is None:
            os._exit(1)

    sys.addaudithook(hook)
    save(folder, 3)
    os._exit(0)


@pytest.mark.parametrize("last_is_whole", [True, False])
def test_death_between_any_two_operations_leaves_a_whole_checkpoint(tmp_path: Path, last_is_whole: bool) -> None:
    died = []
    while not died or died[-1]:
        folder = tmp_path / str(len(died))
        save(folder, 1)
        save(folder, 2)
        if not last_is_whole:
            (folder / "last.ckpt").write_bytes(b"damaged")
        child = FORK.Process(target=die_at, args=(len(died), folder), daemon=True)
        child.start()
        child.join(60)
        died.append(child.exitcode)
        assert saved_step(newest_checkpoint(folder)) in ({2, 3} if last_is_whole else {1, 3})
        save(folder, 4)  # what the dead left is no hindrance
        assert saved_step(folder / "last.ckpt") == 4
        assert set(os.listdir(folder)) == {"last.ckpt", "last-1.ckpt"}
    assert died[-1] == 0
    assert len(died) >= 5


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Files cannot grow beyond it, in bytes, which then fails as on a full disk (Python ignores the signal)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("share", [0.0, 0.002, 0.5, 0.99, 0.99999])
def test_a_full_disk_leaves_the_checkpoints_before(tmp_path: Path, share: float) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2)
    before = listing(tmp_path)
    with pytest.raises(FoldError) as caught, file_size_limit(int(share * len(before["last.ckpt"]))):
        save(tmp_path, 3)
    last = tmp_path / "last.ckpt"
    assert str(caught.value) == (
        f"checkpoint {last}: cannot be written (File too large); the checkpoint before is kept: {last} of step 2"
    )
    assert listing(tmp_path) == before


def test_a_disk_found_full_when_syncing_leaves_the_checkpoints_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    save(tmp_path / "used", 1)
    before = listing(tmp_path / "used")
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(FoldError, match=r"No space left on device.*the checkpoint before is kept: .*last.ckpt"):
        save(tmp_path / "used", 2, "best.ckpt")
    with pytest.raises(FoldError, match=r"No space left on device.*there is none before it"):
        save(tmp_path / "new", 2)
    assert listing(tmp_path / "used") == before
    assert listing(tmp_path / "new") == {}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["last.ckpt", "best.ckpt"])
@pytest.mark.parametrize("part", ["state_dict", "current_model_state", "optimizer_states", "callbacks"])
def test_what_is_not_finite_is_never_written(tmp_path: Path, part: str, name: str, value: float) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2)
    before = listing(tmp_path)
    weights = [{"exp_avg": torch.ones(3)}, {"exp_avg": torch.tensor([1.0, value, 2.0])}]
    scores = {"best_score": torch.tensor(math.inf)}  # of a run that was never judged
    with pytest.raises(FoldError) as caught:
        SafeCheckpointIO().save_checkpoint(
            content(3) | {"callbacks": {"one": scores}} | {part: {"two": weights}}, tmp_path / name
        )
    [told] = str(caught.value).splitlines()
    assert f"{part}.two.1.exp_avg is not finite at step 3" in told
    assert f"kept: {tmp_path / 'last.ckpt'} of step 2; try a lower learning rate" in told
    assert listing(tmp_path) == before
    SafeCheckpointIO().save_checkpoint(content(3) | {"callbacks": {"one": scores}}, tmp_path / name)


@dataclass
class Score:
    """What a callback of one's own might keep."""

    wer: float


def test_what_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    save(tmp_path, 1)
    before = listing(tmp_path)
    with pytest.raises(
        FoldError, match=r"refused: it holds objects other than tensors and plain values \(.*Score\); .* kept"
    ):
        SafeCheckpointIO().save_checkpoint(content(2) | {"callbacks": {"mine": Score(3.0)}}, tmp_path / "last.ckpt")
    assert listing(tmp_path) == before


def test_a_remote_folder_is_refused() -> None:
    with pytest.raises(FoldError, match=r"s3://bucket/last.ckpt: only local folders"):
        SafeCheckpointIO().save_checkpoint(content(1), "s3://bucket/last.ckpt")


class Malicious:
    """Leaves a file when it is unpickled."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple:
        return exec, (f"open({str(self.sentinel)!r}, 'w').close()",)


def test_a_tampered_checkpoint_executes_nothing(tmp_path: Path) -> None:
    sentinel = tmp_path / "executed"
    with (tmp_path / "last.ckpt").open("wb") as stream:
        sealed.write(content(1) | {"callbacks": Malicious(sentinel)}, stream)
    for weights_only in (None, True, False):
        with pytest.raises(FoldError, match=r"refused: it holds objects other than .* \(exec\)"):
            SafeCheckpointIO().load_checkpoint(tmp_path / "last.ckpt", weights_only=weights_only)
    assert not sentinel.exists()
    torch.load(tmp_path / "last.ckpt", weights_only=False)
    assert sentinel.exists()  # it does work where files are trusted


def test_the_checkpoint_before_a_broken_one_is_used_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2)
    last, before = tmp_path / "last.ckpt", tmp_path / "last-1.ckpt"
    with caplog.at_level(logging.WARNING):
        assert newest_checkpoint(tmp_path) == last
        assert not caplog.messages
        last.write_bytes(last.read_bytes()[:-1000])
        assert newest_checkpoint(tmp_path) == before
    [told] = caplog.messages
    assert str(last) in told
    assert str(before) in told
    last.unlink()
    assert newest_checkpoint(tmp_path) == before


def test_no_usable_checkpoint_is_told(tmp_path: Path) -> None:
    with pytest.raises(FoldError, match=f"{tmp_path} holds no checkpoint"):
        newest_checkpoint(tmp_path)
    for name in ("last.ckpt", "last-1.ckpt"):
        (tmp_path / name).write_bytes(b"damaged")
    with pytest.raises(FoldError, match=r"last.ckpt: cannot be read.*last-1.ckpt: cannot be read"):
        newest_checkpoint(tmp_path)


def test_a_run_writes_sealed_checkpoints_and_goes_on_from_them(
    tones_config: Path, fold_command: Callable[..., Finished], tmp_path: Path
) -> None:
    options = (
        f"--config={tones_config}",
        "--trainer.callbacks+=fold.training.callbacks.WeightAverage",
        "--model.lr_scheduler.init_args.total_steps=4",
        "--run_dir=run",
    )
    fold_command("fit", *options, "--trainer.max_steps=2")
    folder = tmp_path / "run" / "checkpoints"
    for file in folder.iterdir():
        assert file.read_bytes()[-sealed.SEAL_BYTES :].startswith(sealed.SEAL), file
    fold_command("fit", *options, "--trainer.max_steps=4", f"--ckpt_path={folder / 'last.ckpt'}")
    loaded = SafeCheckpointIO().load_checkpoint(newest_checkpoint(folder))
    assert loaded["global_step"] == 4
    assert loaded["lr_schedulers"][0]["last_epoch"] == 4
    assert loaded["averaged_updates"] == 4


def test_plugins_of_the_user_are_kept(tones_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def trainer(*plugins: str) -> lightning.Trainer:
        return train.build("fit", [f"--config={tones_config}", *plugins]).trainer

    monkeypatch.chdir(tmp_path)
    fp16 = "{class_path: lightning.pytorch.plugins.MixedPrecision, init_args: {precision: 16-mixed, device: cpu}}"
    chosen = trainer(f"--trainer.plugins={fp16}")
    assert chosen.precision_plugin.precision == "16-mixed"
    assert isinstance(chosen.strategy.checkpoint_io, SafeCheckpointIO)
    chosen = trainer("--trainer.plugins+=lightning.pytorch.plugins.TorchCheckpointIO")
    assert isinstance(chosen.strategy.checkpoint_io, TorchCheckpointIO)


@pytest.mark.slow
def test_two_processes_on_a_full_disk_end_with_one_line(tones_config: Path, tmp_path: Path) -> None:
    log, run = tmp_path / "log", tmp_path / "run"
    both = ["fit", f"--config={tones_config}", f"--run_dir={run}", "--ckpt_path=last", "--trainer.devices=2"]
    assert start([sys.executable, "-m", "fold", *both], log).wait(timeout=120) == 0
    size = (run / "checkpoints" / "last.ckpt").stat().st_size
    kept = newest_checkpoint(run / "checkpoints").read_bytes()
    # Where a file may not grow, writing fails as on a full disk.
    limited = ["bash", "-c", f'ulimit -f {size // 2048}; exec "$@"', "bash", sys.executable, "-m", "fold", *both]
    log.unlink()
    assert start([*limited, "--trainer.max_steps=4"], log).wait(timeout=120) == 2
    [told] = [line for line in log.read_text().splitlines() if line.startswith("fold fit: ")]
    assert "cannot be written (File too large); the checkpoint before is kept" in told
    assert "Traceback" not in log.read_text()
    assert newest_checkpoint(run / "checkpoints").read_bytes() == kept

"""The folder of a run: its name, whose it is, and that one process writes it."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from fold.errors import FoldError
from fold.settings import current_names, differences
from fold.training.checkpoint_io import BEFORE_LAST, LAST
from fold.training.scheduler import job_name

STAMP = "FOLD_RUN_STAMP"  # processes that Lightning launches for DDP inherit it, and so the run folder
NO_STAMP = "unnamed"  # of ranks that were started one by one and share nothing that could name their run
LATEST = "latest"  # names the newest run of an experiment that has a checkpoint
LOCK = ".lock"
SAME_RUN = (  # settings by which a run is known; others may change when it goes on
    "random_seed",
    *(f"model.{name}" for name in ("random_seed", "network", "max_repeats", "max_depth", "sampler", "objective")),
    *(f"data.{name}" for name in ("random_seed", "corpus", "sample_rate", "text", "units")),
)


def stamp_run() -> bool:
    """Names the folder of a run that is given none, in the environment: after its job, else after the time.

    Returns whether the name says which run is meant: it is a job's, or that of the process that launched this one.
    """
    if STAMP in os.environ:
        return True
    job = job_name(os.environ)
    alone = "LOCAL_RANK" not in os.environ or os.environ.get("WORLD_SIZE", "1") == "1"
    # Runs started in the same second differ by chance; the lock tells if they do not.
    now = f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}" if alone else NO_STAMP
    os.environ[STAMP] = job or now
    return job is not None


def newest_run(experiment: Path) -> Path | None:
    """The run that wrote its last checkpoint last, if there is any in the folder of an experiment."""
    files = [run / "checkpoints" / LAST for run in experiment.glob("*") if run.name != LATEST]
    found = {file: file.stat().st_mtime for file in files if file.exists()}
    return max(found, key=found.__getitem__).parent.parent if found else None


def has_checkpoint(folder: Path) -> bool:
    """Whether a run can go on from a folder of checkpoints, perhaps from a damaged one's predecessor."""
    return any((folder / name).exists() for name in (LAST, BEFORE_LAST))


def check_unused(folder: Path) -> None:
    """Raises FoldError if a folder of checkpoints is that of a run, which another would overwrite."""
    if any(folder.glob("*.ckpt")):
        raise FoldError(
            f"{folder} holds the checkpoints of a run: --ckpt_path=last (RESUME=1) goes on with it, another run needs"
            " another --run_dir"
        )


def check_same_run(
    folder: Path, before: dict[str, Any], now: dict[str, Any], changeable: Sequence[str], allow_changes: bool
) -> None:
    """Raises FoldError, naming what differs, if a run is told to go on in the folder of another.

    before, now: the settings of the run that the folder holds, and of the one that would go on;
    changeable: of the network's settings, those that may differ.
    """
    differing = differences(_known_by(before, changeable), _known_by(now, changeable))
    if differing and not allow_changes:
        more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
        raise FoldError(
            f"{folder} holds another run (there -> here: {', '.join(differing[:3])}{more}): give this one its own"
            " --run_dir, or --allow_changes=true to go on with that one"
        )


def _known_by(settings: dict[str, Any], changeable: Sequence[str]) -> dict[str, Any]:
    """The settings by which a run is known."""
    known, settings = {}, current_names(settings)
    for name in SAME_RUN:
        group, _, key = name.rpartition(".")
        known[name] = (settings.get(group, {}) if group else settings).get(key)
    network = known["model.network"] or {}
    kept = {name: value for name, value in network.get("init_args", {}).items() if name not in changeable}
    return {**known, "model.network": {**network, "init_args": kept}}


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keeps a run's folder for this process, however that ends. Raises FoldError if another process writes it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("a+")
    except OSError as error:
        raise FoldError(f"run folder {folder}: cannot be written ({error.strerror})") from None
    with lock:
        try:
            # Not flock: workers forked from a killed process would hold on to that for seconds.
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            lock.seek(0)
            raise FoldError(f"{folder} is being written by {lock.read().strip() or 'another process'}") from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        lock.flush()
        _set_aside(folder / "metrics.csv")
        yield


def _set_aside(file: Path) -> None:
    """Gives a log that a logger would write anew the name `metrics-1.csv` (-2, ...)."""
    if file.exists():
        earlier = len(list(file.parent.glob(f"{file.stem}-*{file.suffix}")))
        file.rename(file.with_stem(f"{file.stem}-{earlier + 1}"))


def point_latest(folder: Path) -> None:
    """Lets `latest`, beside a run's folder, name it. What else has that name (a copy of a run) stays."""
    latest = folder.absolute().parent / LATEST
    if latest.exists() and not latest.is_symlink():
        return
    unfinished = latest.with_name(f".{LATEST}-{os.getpid()}")
    try:
        unfinished.unlink(missing_ok=True)
        unfinished.symlink_to(folder.absolute().name)
        unfinished.replace(latest)
    except OSError:  # a convenience, which some file systems do not offer
        unfinished.unlink(missing_ok=True)


def without_place(config: Any, folder: str) -> Any:
    """A configuration whose settings, where they name the run's folder, refer to `run_dir`: who starts from it gets a
    folder of his own."""
    if isinstance(config, dict):
        return {name: without_place(value, folder) for name, value in config.items() if name != "run_dir"}
    if isinstance(config, list):
        return [without_place(value, folder) for value in config]
    if isinstance(config, str) and (config == folder or config.startswith(f"{folder}/")):
        return "${run_dir}" + config[len(folder) :]
    return config

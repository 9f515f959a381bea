"""What a scheduler knows of a run: the name of its job, and how to start it again."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping

INTERACTIVE = ("bash", "interactive")  # names of SLURM's jobs in which a user starts one command after another


def job_name(environment: Mapping[str, str]) -> str | None:
    """Names the job that a run is: the same on all ranks and over requeues. None where no scheduler names one.

    environment: the variables of the process.
    """
    if "SLURM_JOB_ID" in environment and environment.get("SLURM_JOB_NAME") not in INTERACTIVE:
        return f"slurm-{_slurm_job(environment)}"
    elastic = environment.get("TORCHELASTIC_RUN_ID", "none")  # "none": nobody gave torchrun an id
    return None if elastic == "none" else f"torchrun-{elastic}"


def _slurm_job(environment: Mapping[str, str]) -> str:
    """The id that scontrol takes; tasks of an array count apart."""
    if "SLURM_ARRAY_JOB_ID" in environment:
        return f"{environment['SLURM_ARRAY_JOB_ID']}_{environment['SLURM_ARRAY_TASK_ID']}"
    return environment["SLURM_JOB_ID"]


def requeue(number: int) -> str | None:
    """Queues the job of this process again if a signal asks for that: SIGUSR1 in a job of SLURM, whose SIGTERM may mean
    that the job was cancelled. Returns what came of it, for a message."""
    if number != signal.SIGUSR1 or "SLURM_JOB_ID" not in os.environ:
        return None
    command = ["scontrol", "requeue", _slurm_job(os.environ)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        failure = " ".join(done.stderr.split()) or f"exit status {done.returncode}" if done.returncode else None
    except (OSError, subprocess.TimeoutExpired) as error:
        failure = str(error)
    return f"`{' '.join(command)}` failed: {failure}" if failure else f"job {command[-1]} is requeued"

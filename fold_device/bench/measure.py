"""Measures every depth and precision of a model, each in fresh processes that take turns."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from fold_device.bench.record import Record, Row, Spread
from fold_device.bench.wer import count_words, wer
from fold_device.description import Description, read_description
from fold_device.errors import DeviceError


@dataclass(frozen=True)
class Effort:
    """How thoroughly a model is measured.

    Args:
        rounds: In each of which every depth and precision has its turn.
        timed: Files that each process is timed on, taken again if there are fewer.

    Raises:
        DeviceError: Either is less than 1.
    """

    rounds: int = 3
    timed: int = 20

    def __post_init__(self) -> None:
        if min(self.rounds, self.timed) < 1:
            raise DeviceError(f"{self.rounds} rounds of {self.timed} files: expected at least 1 of each")


class Case(NamedTuple):
    """What is measured apart."""

    depth: int
    precision: str


def measure(
    folder: str | Path,
    files: Sequence[str],
    transcripts: Mapping[str, str],
    depths: Sequence[int] | None = None,
    precisions: Sequence[str] | None = None,
    effort: Effort = Effort(),
) -> Record:
    """The record of a model.

    Args:
        folder: of the export.
        files: audio to time.
        transcripts: what is said, by file; WER is that of all of them; empty: no WER.
        depths: to measure; by default all.
        precisions: to measure; by default all.
        effort: that is spent.

    Raises:
        DeviceError: a depth, a precision or a file is wrong.
    """
    if not files:
        raise DeviceError("no audio: give files, or a list of transcripts")
    description = read_description(folder)
    chosen = [description.stored(name)[0] for name in precisions or description.models]
    cases = [Case(depth, name) for name in chosen for depth in depths or description.depths]
    for case in cases:
        description.choose(case.depth)
    wers = {case: _wer(description, case, transcripts) for case in cases}
    seen = _rounds(description, cases, files, effort)
    return Record(
        name=Path(folder).resolve().name,
        device=processor(),
        cores=_cores(),
        runtime=f"ONNX Runtime {version('onnxruntime')}",
        rounds=effort.rounds,
        timed=effort.timed,
        words=count_words(transcripts.values()),
        rows=tuple(_row(description, case, seen[case], wers[case]) for case in cases),
    )


def _rounds(
    description: Description, cases: Sequence[Case], files: Sequence[str], effort: Effort
) -> dict[Case, list[dict[str, Any]]]:
    """What each round saw of each case."""
    seen = defaultdict(list)
    timed = list(files[: effort.timed])
    for number in range(effort.rounds):
        empty = _process({})["peak_bytes"]
        for case in cases if number % 2 == 0 else cases[::-1]:  # so that a machine that slows down slows all alike
            one, every = (_run(description, case, timed, threads, effort.timed) for threads in (1, 0))
            seen[case].append(
                {
                    **one,
                    "memory_bytes": one["peak_bytes"] - empty,
                    "real_time_factor_all": every["real_time_factor"],
                }
            )
    return seen


def _row(description: Description, case: Case, seen: Sequence[Mapping[str, Any]], wer: float | None) -> Row:
    names = ("memory_bytes", "load_seconds", "first_result_seconds", "real_time_factor", "real_time_factor_all")
    return Row(
        depth=case.depth,
        precision=case.precision,
        repeats=description.choose(case.depth),
        stored_bytes=description.models[case.precision].bytes,
        wer=wer,
        **{name: Spread.of([one[name] for one in seen]) for name in names},
    )


def _wer(description: Description, case: Case, transcripts: Mapping[str, str]) -> float | None:
    if not transcripts:
        return None
    return wer(transcripts, _run(description, case, list(transcripts), 0, least=1)["texts"])


def _run(description: Description, case: Case, files: list[str], threads: int, least: int) -> dict[str, Any]:
    return _process(
        {
            "model": str(description.folder),
            "precision": case.precision,
            "repeats": description.choose(case.depth),
            "threads": threads,
            "files": files,
            "least": least,
            "started": time.monotonic(),
        }
    )


def _process(request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of a fresh process. Raises DeviceError with what it raised."""
    command = [sys.executable, "-m", "fold_device.bench.worker"]
    done = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True)
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        said = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise DeviceError(f"a process of the measurement failed: {said}") from None
    if "error" in answer:
        raise DeviceError(answer["error"])
    return answer


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """The name of this machine's processor."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()

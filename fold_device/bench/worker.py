"""One fresh process of a measurement: reads a request as JSON from standard input, prints what it saw as JSON.

With no model it does nothing but import: the empty process that memory is counted from.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # noqa: F401 - the empty process has it

from fold_device.audio import read_blocks
from fold_device.errors import DeviceError
from fold_device.model import load


def main() -> None:
    """Answers one request."""
    try:
        answer = _answer(json.load(sys.stdin))
    except DeviceError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer))


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    """Fields of a request: model, precision, repeats, threads, files, least (files to time), started (on the monotonic
    clock)."""
    if "model" not in request:
        return {"peak_bytes": peak_bytes()}
    begun = time.perf_counter()
    model = load(request["model"], request["precision"], request["threads"])
    loaded = time.perf_counter() - begun
    files, texts, factors, first = request["files"], {}, [], 0.0
    for file in (files * (1 + request["least"] // len(files)))[: max(request["least"], len(files))]:
        samples = np.concatenate([np.zeros(0, np.float32), *read_blocks(file, model.description.sample_rate)])
        begun = time.perf_counter()
        said = model.transcribe(samples, repeats=request["repeats"])
        took = time.perf_counter() - begun
        texts[file] = said.text
        factors.append(took / max(said.seconds, 1e-9))
        first = first or time.monotonic() - request["started"]
    return {
        "load_seconds": loaded,
        "first_result_seconds": first,
        "real_time_factor": float(np.median(factors)),
        "peak_bytes": peak_bytes(),
        "texts": texts,
    }


def peak_bytes() -> int:
    """The most memory that this process has held. Not from getrusage on Linux, where a process begins with the peak of
    the one that started it."""
    status = Path("/proc/self/status")
    if status.exists():
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


if __name__ == "__main__":
    main()

"""Memory and time of exported models beside PyTorch's: a table for docs/devices.md.

python -m benchmarks.devices CHECKPOINT SHARD.tar

measures the model of the checkpoint, and the paper's shape with random weights, on utterances of a shard: PyTorch, fp32
and int8, at the seed and at the deepest path, each in fresh processes of one thread that take turns.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.shard import utterances

SYSTEMS = ("PyTorch", "fp32", "int8")
FIRST = 8  # utterances after which memory is read
Run = Callable[[np.ndarray], object]


@dataclass(frozen=True)
class Case:
    """What a process measures: a system, and one depth of an exported model (folder, with its checkpoint in it)."""

    system: str
    folder: str
    depth: int
    shard: str
    number: int

    def measure(self) -> dict[str, float]:
        """MiB above this process after its imports, and CPU seconds for a second of sound."""
        load = _pytorch() if self.system == "PyTorch" else _onnx_runtime()
        before = _resident()
        run = load(self)
        factors = []
        memory = 0.0
        sounds = (samples for samples, _ in islice(utterances(Path(self.shard)), self.number))
        for number, samples in enumerate(sounds):
            begun = time.process_time()
            run(samples)
            factors.append((time.process_time() - begun) / (len(samples) / 16000))
            if number < FIRST:
                memory = _resident() - before
        return {"memory": memory, "factor": median(factors)}


def _pytorch() -> Callable[[Case], Run]:
    import torch

    from fold import checkpoint

    def load(case: Case) -> Run:
        torch.set_num_threads(1)
        model, description = checkpoint.load(f"{case.folder}/model.ckpt")
        path = description.space.canonical(case.depth)

        @torch.inference_mode()
        def run(samples: np.ndarray) -> object:
            return model(torch.from_numpy(samples)[None], torch.tensor([len(samples)]), [path])

        return run

    return load


def _onnx_runtime() -> Callable[[Case], Run]:
    import onnxruntime  # noqa: F401 (before memory is read)

    import fold_device

    def load(case: Case) -> Run:
        model = fold_device.load(case.folder, case.system)
        repeats = model.description.choose(case.depth)
        return lambda samples: model.log_probs(samples, repeats)

    return load


def _resident() -> float:
    """MiB that this process holds."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def write_models(folder: Path, checkpoint: Path) -> dict[str, Path]:
    """Exports the model of a checkpoint, and the paper's shape, each with its checkpoint beside it."""
    import torch

    from fold.checkpoint import KEY, PREFIX, Description, load
    from fold.export import onnx_module
    from fold.models import Conformer
    from fold.paths import PathSpace
    from fold.text.units import CharUnits

    torch.manual_seed(0)
    units = CharUnits([chr(0x4E00 + i) for i in range(497)])
    paper = Description(Conformer(), PathSpace(6, 2), units, 16000, shards="nowhere")
    folders = {}
    for name, (model, description) in {"trained": load(checkpoint), "paper": (paper.build().eval(), paper)}.items():
        folders[name] = folder / name
        onnx_module("folder").write_folder(folders[name], model, description, ["fp32", "int8"], "waveform")
        weights = {PREFIX + key: weight for key, weight in model.state_dict().items()}
        torch.save({KEY: description.to_dict(), "state_dict": weights}, folders[name] / "model.ckpt")
    return folders


def table(folders: dict[str, Path], shard: Path, rounds: int, number: int) -> Iterator[str]:
    """Lines of Markdown: of memory the least of the rounds, of times the median, and the median ratio to PyTorch's."""
    yield "| model | depth | | bytes | memory, MiB | real-time factor | to PyTorch's |"
    yield "|---|---:|---|---:|---:|---:|---:|"
    for name, folder in folders.items():
        known = json.loads((folder / "model.json").read_text())
        depths = [int(depth) for depth in known["depths"]]
        cases = [(depth, system) for depth in (depths[0], depths[-1]) for system in SYSTEMS]
        seen = defaultdict(list)
        for turn in range(rounds):
            for depth, system in cases if turn % 2 == 0 else cases[::-1]:
                seen[depth, system].append(_process(Case(system, str(folder), depth, str(shard), number)))
        for depth, system in cases:
            found, beside = seen[depth, system], seen[depth, "PyTorch"]
            ratio = median(one["factor"] / other["factor"] for one, other in zip(found, beside, strict=True))
            size = f"{known['models'][system]['bytes']:,}" if system in known["models"] else ""
            memory, factor = min(one["memory"] for one in found), median(one["factor"] for one in found)
            yield f"| {name} | {depth} | {system} | {size} | {memory:.1f} | {factor:.4f} | {ratio:.2f} |"


def _process(case: Case) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.devices", "--case", json.dumps(vars(case))]
    answer: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)
    return answer


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = argparse.ArgumentParser("python -m benchmarks.devices", description=__doc__)
    options.add_argument("checkpoint", type=Path, nargs="?")
    options.add_argument("shard", type=Path, nargs="?", help="a tar of `fold prepare`, such as test-000000.tar")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--number", type=int, default=60, help="utterances that each process is timed on (60)")
    options.add_argument("--case", help=argparse.SUPPRESS)
    settings = options.parse_args(arguments)
    if settings.case:
        print(json.dumps(Case(**json.loads(settings.case)).measure()))
        return
    if settings.shard is None:
        options.error("a checkpoint and a shard are needed")
    with TemporaryDirectory() as folder:
        folders = write_models(Path(folder), settings.checkpoint)
        for line in table(folders, settings.shard, settings.rounds, settings.number):
            print(line, flush=True)


if __name__ == "__main__":
    main()

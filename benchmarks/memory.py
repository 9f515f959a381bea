"""Peak memory of a training step: the deepest path against the seed and against as many physical layers."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path as FilePath
from unittest.mock import patch

import torch
from tqdm import tqdm

from benchmarks.joint_step import model_step, training_paths
from benchmarks.report import Row, Section
from benchmarks.timing import ratios
from benchmarks.workload import MAX_REPEATS, SAMPLE_RATE, Workload
from fold.models import Architecture, empty_model
from fold.paths import Path, PathSpace

MIB = 2**20


def memory(work: Workload, device: torch.device, rounds: int) -> Section:
    """Training steps of the whole model, with and without activation checkpointing."""
    space = PathSpace(work.num_layers, MAX_REPEATS)
    physical = PathSpace(space.deepest.depth, max_repeats=1).seed
    systems = {
        "seed": (space.num_layers, [space.seed]),
        "deepest": (space.num_layers, [space.deepest]),
        "joint": (space.num_layers, training_paths(space, step=0)),
        "physical": (physical.depth, [physical]),
    }
    section = Section("Peak memory of a training step with AdamW, whole model")
    section.rows.extend(weight_rows(work, {name: systems[name][0] for name in ("deepest", "physical")}))
    with tqdm(total=2 * len(systems) * rounds, desc="memory", unit="process", leave=False, disable=None) as bar:
        for label, checkpointing in {"": False, ", recomputing": True}.items():
            peaks: dict[str, list[float]] = {name: [] for name in systems}
            for name in list(systems) * rounds:
                num_layers, paths = systems[name]
                network = work.conformer(num_layers, checkpointing)
                peaks[name].append(peak_in_fresh_process(work, device, network, paths) / MIB)
                bar.update()
            section.rows.extend(Row(f"{name}{label}", values, "MiB") for name, values in peaks.items())
            section.rows.extend(
                Row(f"deepest / {other}{label}", ratios(peaks["deepest"], peaks[other]))
                for other in ("seed", "physical")
            )
    section.notes.extend(
        [
            f"deepest: {space.num_layers} physical layers, {space.deepest.depth} calls; physical: {physical.depth} "
            "layers; joint: deepest + seed + one sampled path",
            "weights: all that inference keeps; recomputing: with activation checkpointing",
            "a peak holds weights, gradients, optimizer state and activations; the program itself is taken off",
        ]
    )
    return section


def weight_rows(work: Workload, num_layers: dict[str, int]) -> list[Row]:
    """Memory of the weights alone, in fp32, and its ratio. num_layers: physical layers of deepest and physical."""
    weights = {
        name: 4 * empty_model(work.conformer(layers), work.vocab_size, SAMPLE_RATE).num_parameters() / MIB
        for name, layers in num_layers.items()
    }
    rows = [Row(f"weights: {name}", [size], "MiB") for name, size in weights.items()]
    return [*rows, Row("weights: deepest / physical", [weights["deepest"] / weights["physical"]])]


def peak_in_fresh_process(*arguments: object) -> int:
    """`training_peak` of these arguments, measured in a process of its own: nothing that an earlier figure left in
    memory enters it."""
    context = multiprocessing.get_context("forkserver")
    # Imported once for all processes; optimizers import torch._dynamo, slowly, when the first one is made.
    context.set_forkserver_preload(["benchmarks.memory", "torch._dynamo"])
    # Above this size glibc returns memory as soon as it is freed, so that what is resident is what is in use.
    with patch.dict(os.environ, MALLOC_MMAP_THRESHOLD_="65536"), ProcessPoolExecutor(1, context) as pool:
        return pool.submit(training_peak, *arguments).result()


def training_peak(work: Workload, device: torch.device, network: Architecture, paths: Sequence[Path]) -> int:
    """Bytes that training takes at its peak beyond what the process held before the model was built."""
    small = Workload(dim=8, num_heads=2, ffn_dim=8, num_layers=1, batch_size=1, seconds=0.5)
    train(small, device, small.conformer(1), [Path((0,))])  # loads libraries and starts threads
    if device.type != "cpu":
        torch.accelerator.reset_peak_memory_stats(device)
        before = torch.accelerator.memory_allocated(device)
        train(work, device, network, paths)
        return torch.accelerator.max_memory_allocated(device) - before
    before = resident("VmRSS")
    train(work, device, network, paths)
    return resident("VmHWM") - before


def train(work: Workload, device: torch.device, network: Architecture, paths: Sequence[Path]) -> None:
    """Two training steps: the optimizer has its state only after the first."""
    model = network.build(work.vocab_size, SAMPLE_RATE).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters())
    step = model_step(model, work, device)
    for _ in range(2):
        step(paths)
        optimizer.step()
        optimizer.zero_grad()


def resident(field: str) -> int:
    """Bytes of this process in memory: now ("VmRSS") or at most so far ("VmHWM"); off Linux always the latter."""
    status = FilePath("/proc/self/status")
    if status.exists():  # on Linux ru_maxrss would begin at the parent's peak
        sizes = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(sizes[field].split()[0]) * 1024
    import resource  # missing on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

"""Evaluation of every path: through the prefix tree against one by one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from benchmarks.report import Row, Section
from benchmarks.timing import interleaved, ratios, summary
from benchmarks.workload import MAX_REPEATS, SAMPLE_RATE, Workload, layer_args
from fold.models import Recogniser
from fold.paths import Path, PathSpace
from fold.unfolding import Unfolding

BATCH_SHARE = 1 / 4  # of the training batch: one by one, a round runs every path over it

CHUNKS = (4, 16, 64)  # paths that run layer by layer together, in place of the tree

Run = Callable[[Sequence[Path]], Iterator[tuple[int, Tensor]]]
"""Yields (index of the path, its result) for a set of paths."""


@torch.no_grad()
def sweep(work: Workload, device: torch.device, rounds: int) -> Section:
    """All paths of the space, inference."""
    work = replace(work, batch_size=math.ceil(work.batch_size * BATCH_SHARE))
    space = PathSpace(work.num_layers, MAX_REPEATS)
    paths = [path for depth in space.depths for path in space.paths(depth)]
    model = work.conformer().build(work.vocab_size, SAMPLE_RATE).to(device).eval()
    runs = {
        "encoder": encoder_run(model.unfolding, work, device),
        "model": model_run(model, work, device),
        **{f"model by {size}": chunked_run(model, work, device, size) for size in CHUNKS},
    }
    section = Section(f"Inference of all {len(paths)} paths, batch {work.batch_size}")
    for name, run in runs.items():
        difference, together, alone = compare(run, paths, model.unfolding.layers)
        calls = {
            "one by one": lambda _, run=run: [exhaust(run([path])) for path in paths],
            "tree": lambda _, run=run: exhaust(run(paths)),
        }
        seconds = interleaved(calls, rounds, device, f"sweep, {name}", warm_up=0)
        speedup = ratios(seconds["one by one"], seconds["tree"])
        section.rows.append(Row(f"{name}: alone / together", speedup, "x", [alone / together] * rounds))
        section.notes.append(
            f"{name}: {together} layer calls against {alone}; {summary(seconds)}; "
            f"greatest absolute difference of the results {difference:.1e}"
        )
    section.notes.append(
        "encoder: the layers alone; model: one by one repeats fbank and subsampling for every path, the tree does not; "
        "by 4, 16, 64: so many paths at a time, layer by layer, in place of the tree"
    )
    return section


def compare(run: Run, paths: Sequence[Path], layers: nn.ModuleList) -> tuple[float, int, int]:
    """The greatest absolute difference between a path's result in the tree and alone, and the layer calls counted
    in the tree and one by one."""
    with CallCounter(layers) as together:
        results = dict(run(paths))
    with CallCounter(layers) as alone:
        difference = max(
            (result - results[index]).abs().max().item()
            for index, path in enumerate(paths)
            for _, result in run([path])
        )
    return difference, together.count, alone.count


class CallCounter:
    """Counts the calls of `layers` inside a `with` block."""

    def __init__(self, layers: nn.ModuleList) -> None:
        self.count = 0
        self._hooks = [layer.register_forward_hook(self._note) for layer in layers]

    def _note(self, *_: object) -> None:
        self.count += 1

    def __enter__(self) -> CallCounter:
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()


def encoder_run(unfolding: Unfolding, work: Workload, device: torch.device) -> Run:
    """The layers alone."""
    x, num_frames = work.frames(device)
    args = layer_args(x, num_frames)
    return lambda paths: unfolding.walk(x, paths, *args)


def model_run(model: Recogniser, work: Workload, device: torch.device) -> Run:
    """The whole model, from waveforms to CTC log-probabilities."""
    speech = work.speech(device)
    return lambda paths: ((index, output.ctc_log_probs) for index, output in model.walk(*speech, paths))


def chunked_run(model: Recogniser, work: Workload, device: torch.device, size: int) -> Run:
    """The whole model, layer by layer for `size` paths at a time; neighbours in order share most prefixes."""
    speech = work.speech(device)

    def run(paths: Sequence[Path]) -> Iterator[tuple[int, Tensor]]:
        order = sorted(range(len(paths)), key=lambda index: paths[index])
        for start in range(0, len(order), size):
            chunk = order[start : start + size]
            yield from zip(chunk, model(*speech, [paths[index] for index in chunk]).ctc_log_probs, strict=True)

    return run


def exhaust(results: Iterator[object]) -> None:
    """Computes all results and keeps none."""
    for _ in results:
        pass

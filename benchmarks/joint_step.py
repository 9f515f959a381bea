"""The joint training step, layer by layer, against the deepest path alone, a pass a path, and path by path."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import mean

import torch
from torch import Tensor, nn

from benchmarks.report import Row, Section
from benchmarks.timing import interleaved, ratios, summary
from benchmarks.workload import MAX_REPEATS, SAMPLE_RATE, Workload, layer_args
from fold.models import Recogniser
from fold.objective import JointObjective
from fold.paths import Path, PathSpace
from fold.sampling import DepthFirst, StepPaths, step_generator
from fold.unfolding import Unfolding, num_layer_calls

Step = Callable[[Sequence[Path]], None]
"""Forward, loss and backward of a set of paths; gradients add up."""


def joint_step(work: Workload, device: torch.device, rounds: int) -> Section:
    """One draw of paths a round: the deepest, the seed and one sampled."""
    space = PathSpace(work.num_layers, MAX_REPEATS)
    draws = [training_paths(space, step) for step in range(rounds)]
    calls = {
        "joint": [num_layer_calls(draw) for draw in draws],
        "deepest": [draw[0].depth for draw in draws],
        "separate": [sum(path.depth for path in draw) for draw in draws],
    }
    model = work.conformer().build(work.vocab_size, SAMPLE_RATE).to(device).train()
    steps: dict[str, tuple[nn.Module, Step]] = {
        "encoder": (model.unfolding, encoder_step(model.unfolding, work, device)),
        "model": (model, model_step(model, work, device)),
    }
    means = ", ".join(f"{name} {mean(counts):.2f}" for name, counts in calls.items())
    share = mean(calls["joint"]) / space.deepest.depth
    usual = mean(num_layer_calls(training_paths(space, step)) for step in range(500)) / space.deepest.depth
    section = Section("Joint training step: seed + one sampled + deepest path")
    section.notes.append("by calls: what the layer calls alone would give")
    section.notes.append(
        f"layer calls, mean of the draws: {means}; joint / deepest {share:.2f} x ({usual:.2f} x over 500 draws)"
    )
    for name, (module, step) in steps.items():
        seconds = interleaved(passes(module, step, draws), rounds, device, f"joint step, {name}")
        for over, under in (("joint", "deepest"), ("separate", "deepest"), ("separate", "joint")):
            measured, expected = ratios(seconds[over], seconds[under]), ratios(calls[over], calls[under])
            section.rows.append(Row(f"{name}: {over} / {under}", measured, "x", expected))
        section.notes.append(f"{name}: {summary(seconds)}")
    section.rows.append(Row("encoder: joint / path by path", orders(model.unfolding, work, device, draws)))
    section.notes.append(
        "encoder: the layers alone; model: fbank, subsampling, CTC head and joint loss too (no KL in separate passes)"
    )
    return section


def orders(
    unfolding: Unfolding, work: Workload, device: torch.device, draws: Sequence[Sequence[Path]]
) -> tuple[float, ...]:
    """Time of the joint step of the layers as training runs it, over that of one call for each distinct prefix."""

    def path_by_path(x: Tensor, paths: Sequence[Path], *args: object) -> list[Tensor]:
        return [result for _, result in unfolding.walk(x, paths, *args)]

    steps = {"layers": encoder_step(unfolding, work, device), "paths": encoder_step(path_by_path, work, device)}
    calls = {name: lambda number, step=step: step(draws[number]) for name, step in steps.items()}
    seconds = interleaved(calls, len(draws), device, "joint step, order")
    return ratios(seconds["layers"], seconds["paths"])


def training_paths(space: PathSpace, step: int) -> list[Path]:
    """The paths of a training step once all have grown: the deepest, the seed, a sampled one."""
    return DepthFirst().paths(space, step, 1.0, step_generator(0, step)).in_order


def passes(module: nn.Module, step: Step, draws: Sequence[Sequence[Path]]) -> dict[str, Callable[[int], None]]:
    """What is compared, by the number of the draw (whose first path is the deepest). Each starts without gradients."""

    def run(*sets: Sequence[Path]) -> None:
        module.zero_grad()
        for paths in sets:
            step(paths)

    return {
        "joint": lambda number: run(draws[number]),
        "deepest": lambda number: run(draws[number][:1]),
        "separate": lambda number: run(*([path] for path in draws[number])),
    }


def encoder_step(encode: Callable[..., list[Tensor]], work: Workload, device: torch.device) -> Step:
    """Forward and backward of the layers alone, from a fixed gradient of each path's result; encode: gives the results
    of paths, called as an `Unfolding`."""
    x, num_frames = work.frames(device)
    args, gradient = layer_args(x, num_frames), torch.randn_like(x)

    def step(paths: Sequence[Path]) -> None:
        outputs = encode(x, paths, *args)
        torch.autograd.backward(outputs, [gradient] * len(outputs))

    return step


def model_step(model: Recogniser, work: Workload, device: torch.device) -> Step:
    """Forward of the whole model, the joint loss with all its terms, backward. Of several paths the first is the
    deepest, the second the seed."""
    waveforms, num_samples = work.speech(device)
    targets, objective = work.targets(device), JointObjective()

    def step(paths: Sequence[Path]) -> None:
        roles = StepPaths(paths[0], paths[1] if len(paths) > 1 else None, tuple(paths[2:]))
        objective(roles, model(waveforms, num_samples, paths), targets, progress=1.0).total.backward()

    return step

"""Training in bf16 against fp32, on batches of one length and on batches that all differ in length, as speech does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch

from benchmarks.joint_step import model_step, training_paths
from benchmarks.report import Row, Section
from benchmarks.timing import interleaved, ratios, summary
from benchmarks.workload import MAX_REPEATS, SAMPLE_RATE, Workload
from fold.paths import PathSpace
from fold.precision import Precision, computing_in

NARROW = 3 / 8  # of the workload's width: d 96, as conformer_fold
SHORTER = 0.05  # s, that each round's batch is shorter than the one before
PRECISIONS: tuple[Precision, ...] = ("bf16", "fp32")


def lengths(work: Workload, device: torch.device, rounds: int) -> Section:
    """A joint step a round, of a narrow model and of a wide one."""
    section = Section("Joint training step: bf16 / fp32")
    narrow = replace(work, dim=round(NARROW * work.dim), ffn_dim=round(NARROW * work.ffn_dim))
    for name, one in {"narrow": narrow, "wide": work}.items():
        for shapes, shorter in {"one length": 0.0, "each of its own length": SHORTER}.items():
            calls = {precision: partial(steps(one, device, shorter), precision) for precision in PRECISIONS}
            seconds = interleaved(calls, rounds, device, f"{name}, {shapes}", warm_up=2)
            section.rows.append(Row(f"{name}, {shapes}", ratios(*(seconds[precision] for precision in PRECISIONS))))
            section.notes.append(f"{name}, {shapes}: {summary(seconds)}")
    section.notes.append(f"narrow: d {narrow.dim}, FFN {narrow.ffn_dim}; wide: d {work.dim}, FFN {work.ffn_dim}")
    return section


def steps(work: Workload, device: torch.device, shorter: float) -> Callable[[Precision, int], None]:
    """Forward, loss and backward in a precision, of round `number`, whose batch is so many seconds shorter a round."""
    model = work.conformer().build(work.vocab_size, SAMPLE_RATE).to(device).train()
    paths = training_paths(PathSpace(work.num_layers, MAX_REPEATS), 0)

    def step(precision: Precision, number: int) -> None:
        with computing_in(device, precision):
            model_step(model, replace(work, seconds=work.seconds - number * shorter), device)(paths)

    return step

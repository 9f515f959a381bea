"""The default model's training step in bf16 against fp32: on batches of one length, and on batches that all differ in
length, as speech does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from benchmarks.report import Row, Section
from benchmarks.timing import interleaved, ratios, summary
from benchmarks.workload import SAMPLE_RATE
from fold import shipped
from fold.losses import Targets
from fold.models import Conformer
from fold.objective import JointObjective
from fold.paths import PathSpace
from fold.precision import Precision, computing_in
from fold.sampling import DepthFirst, step_generator

EXPERIMENT = Path(__file__).parent.parent / "experiments" / "conformer_fold.yaml"
UTTERANCES, SECONDS, SHORTER = 12, 2.4, 0.04  # as in the default corpus; an encoder frame shorter a round
UNITS, VOCABULARY = 24, 30
PRECISIONS: tuple[Precision, ...] = ("bf16", "fp32")


def lengths(_: object, device: torch.device, rounds: int) -> Section:
    """A joint step a round."""
    section = Section("Joint training step of conformer_fold, batches of 12 utterances: bf16 / fp32")
    for shapes, shorter in {"one length": 0.0, "each of its own length": SHORTER}.items():
        calls = {precision: partial(stepping(device, shorter), precision) for precision in PRECISIONS}
        seconds = interleaved(calls, rounds, device, shapes, warm_up=2)
        section.rows.append(Row(shapes, ratios(*(seconds[precision] for precision in PRECISIONS))))
        section.notes.append(f"{shapes}: {summary(seconds)}")
    return section


def stepping(device: torch.device, shorter: float) -> Callable[[Precision, int], None]:
    """Forward, loss and backward in a precision, of round `number`, whose utterances are so many seconds shorter than
    those of the round before."""
    settings = shipped.read(EXPERIMENT)["model"]
    network = settings["network"]["init_args"]
    model = Conformer(**{**network, "spec_augment": None}).build(VOCABULARY, SAMPLE_RATE).to(device).train()
    space, objective = PathSpace(network["num_layers"], settings["max_repeats"]), JointObjective()
    units = torch.randint(1, VOCABULARY, (UTTERANCES, UNITS), device=device)
    targets = Targets(units, torch.full((UTTERANCES,), UNITS, device=device))

    def step(precision: Precision, number: int) -> None:
        paths = DepthFirst().paths(space, 0, 1.0, step_generator(0, 0))
        longest = round((SECONDS - number * shorter) * SAMPLE_RATE)
        waveforms = torch.rand(UTTERANCES, longest, device=device) - 0.5
        num_samples = torch.full((UTTERANCES,), longest, device=device)
        with computing_in(device, precision):
            objective(paths, model(waveforms, num_samples, paths.in_order), targets, progress=1.0).total.backward()

    return step

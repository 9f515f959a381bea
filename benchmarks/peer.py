"""The Conformer encoder against torchaudio's of the same size, which has no relative positions."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torchaudio.models import Conformer as TorchaudioConformer

from benchmarks.report import Row, Section
from benchmarks.timing import interleaved, ratios, summary, synchronise
from benchmarks.workload import SAMPLE_RATE, Workload, layer_args, num_parameters
from fold.paths import PathSpace
from fold.unfolding import Unfolding

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
WORTHWHILE = 0.1  # of the fp32 rate: a bf16 product slower than that is emulated, and its timings mean nothing

Forward = Callable[[], Tensor]


def peer(work: Workload, device: torch.device, rounds: int) -> Section:
    """Training step (forward and backward) and inference of the seed."""
    x, num_frames = work.frames(device)
    ours = work.conformer().build(work.vocab_size, SAMPLE_RATE).unfolding.to(device)
    theirs = TorchaudioConformer(
        work.dim, work.num_heads, work.ffn_dim, work.num_layers, work.kernel_size, work.dropout
    ).to(device)
    forwards = {
        "fold": (ours, lambda: encode(ours, x, num_frames)),
        "torchaudio": (theirs, lambda: theirs(x, num_frames)[0]),
    }
    section = Section("Conformer encoder: fold / torchaudio, which has no relative positions")
    section.notes.append(f"parameters: fold {num_parameters(ours):,}, torchaudio {num_parameters(theirs):,}")
    precisions = worthwhile_precisions(device, section.notes)
    for kind, measured in {"training step": training_step, "inference": inference}.items():
        calls = {
            f"{name} {precision}": measured(module, forward, device, PRECISIONS[precision])
            for precision in precisions
            for name, (module, forward) in forwards.items()
        }
        seconds = interleaved(calls, rounds, device, f"against torchaudio, {kind}")
        for precision in precisions:
            values = ratios(seconds[f"fold {precision}"], seconds[f"torchaudio {precision}"])
            section.rows.append(Row(f"{kind}, {precision}", values))
        if "bf16" in precisions:
            values = ratios(seconds["fold fp32"], seconds["fold bf16"])
            section.rows.append(Row(f"{kind}, fold: fp32 / bf16", values))
        section.notes.append(f"{kind}: {summary(seconds)}")
    return section


def encode(unfolding: Unfolding, x: Tensor, num_frames: Tensor) -> Tensor:
    """The seed's encoding of x: (batch, frames, dim). As torchaudio's, it makes its mask from the lengths."""
    seed = PathSpace(len(unfolding.layers), max_repeats=1).seed
    return unfolding(x, [seed], *layer_args(x, num_frames))[0]


def training_step(
    module: nn.Module, forward: Forward, device: torch.device, dtype: torch.dtype
) -> Callable[[int], None]:
    """Forward under autocast and backward."""

    def step(_: int) -> None:
        module.train().zero_grad()
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            output = forward()
        output.backward(torch.ones_like(output))

    return step


def inference(module: nn.Module, forward: Forward, device: torch.device, dtype: torch.dtype) -> Callable[[int], None]:
    """Forward under autocast, without gradients."""

    def infer(_: int) -> None:
        module.eval()
        with torch.no_grad(), torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            forward()

    return infer


def worthwhile_precisions(device: torch.device, notes: list[str]) -> list[str]:
    """The names of the precisions whose matrix products this device really computes; says in `notes` what it leaves."""
    rates = {name: product_rate(device, dtype) for name, dtype in PRECISIONS.items()}
    if rates["bf16"] >= WORTHWHILE * rates["fp32"]:
        return list(PRECISIONS)
    notes.append(
        f"bf16 skipped: its matrix products run at {rates['bf16']:.1f} GFLOP/s here (fp32 {rates['fp32']:.0f})"
    )
    return ["fp32"]


def product_rate(device: torch.device, dtype: torch.dtype, size: int = 512) -> float:
    """GFLOP/s of a product of two square matrices, the best of three."""
    a = torch.randn(size, size, device=device).to(dtype)
    seconds = []
    for _ in range(3):
        synchronise(device)
        start = time.perf_counter()
        a @ a
        synchronise(device)
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds) / 1e9

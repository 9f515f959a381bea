"""How much a model computes: multiply-accumulates for a second of audio, counted as it runs."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from fold.checkpoint import Description
from fold.models import Recogniser
from fold.paths import Path

SECONDS = 10  # of audio: attention's products grow with its square


def macs_per_second(model: Recogniser, description: Description) -> dict[str, float]:
    """Multiply-accumulates for a second of audio, by the canonical path of each depth."""
    paths = [description.space.canonical(depth) for depth in description.space.depths]
    return {str(path): count_macs(model, SECONDS * description.sample_rate, path) / SECONDS for path in paths}


def count_macs(model: Recogniser, num_samples: int, path: Path) -> int:
    """Multiply-accumulates of matrix products, convolutions and attention along a path, from the waveform to the CTC
    head; an attention decoder, whose work depends on what is said, is left out. Half of PyTorch's count of operations.

    model: in eval mode; num_samples: of one utterance.
    """
    device = next(model.parameters()).device
    noise = 0.1 * torch.randn(1, num_samples, generator=torch.Generator().manual_seed(0))  # silence is slow to compute
    counter = FlopCounterMode(display=False, custom_mapping=UNCOUNTED)
    # Of layers that torch.compile compiled nothing would be counted; in inference mode weight norm cannot be.
    with torch.inference_mode(False), torch.no_grad(), torch.compiler.set_stance("force_eager"), counter:
        model(noise.to(device), torch.tensor([num_samples]), [path])
    return counter.get_total_flops() // 2


def _attention(query: Any, key: Any, value: Any, *others: Any, **named: Any) -> int:
    """The operations of a kernel that PyTorch does not count. Arguments: shapes."""
    operations: int = sdpa_flop_count(query, key, value)
    return operations


UNCOUNTED = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    torch.ops.aten._scaled_dot_product_attention_math_for_mps: _attention,
}

"""The precision in which a device computes, unless one is asked for."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal

import torch

Precision = Literal["auto", "fp32", "bf16"]


def choose_precision(device: torch.device, wanted: Precision = "auto") -> Precision:
    """Either "fp32" or "bf16": what is wanted, or for "auto" bf16 on a GPU that computes in it, else fp32.

    On CPUs too a product of matrices may be several times as fast in bf16, but for each shape that it has not met
    oneDNN first writes code, for some milliseconds. As utterances and batches all differ in length, only wide layers
    and long batches gain.
    """
    if wanted != "auto":
        return wanted
    return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"


def computing_in(device: torch.device, precision: Precision = "auto") -> AbstractContextManager[object]:
    """A context in which models compute in that precision (as `choose_precision`); their weights stay in fp32."""
    bf16 = choose_precision(device, precision) == "bf16"
    return torch.autocast(device.type, torch.bfloat16, enabled=bf16)

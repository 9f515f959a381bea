"""The precision in which a device computes: bf16 where that is faster, else fp32."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Literal

import torch

Precision = Literal["auto", "fp32", "bf16"]
BF16_INSTRUCTIONS = ("amx_bf16", "avx512_bf16", "bf16")  # of x86 and ARM, as torch.cpu.get_capabilities names them
WORTHWHILE = 1.5  # times as fast: below, rounding and casts cost more than the products gain
ROUNDS = 30


def choose_precision(device: torch.device, wanted: Precision = "auto") -> Precision:
    """Either "fp32" or "bf16": what is wanted, or for "auto" what suits the device."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if device.type == "cpu" and bf16_pays_on_cpu() else "fp32"


def computing_in(device: torch.device, precision: Precision = "auto") -> AbstractContextManager[object]:
    """A context in which models compute in that precision (as `choose_precision`); their weights stay in fp32."""
    bf16 = choose_precision(device, precision) == "bf16"
    return torch.autocast(device.type, torch.bfloat16, enabled=bf16)


@lru_cache
def bf16_pays_on_cpu() -> bool:
    """Whether this processor multiplies matrices much faster in bf16 than in fp32: measured, in some
    hundredths of a second.

    Instructions alone do not tell: of two processors with avx512_bf16, one was four times as fast as in fp32, the
    other half as fast.
    """
    capabilities = torch.cpu.get_capabilities()
    if not any(capabilities.get(name) for name in BF16_INSTRUCTIONS):
        return False
    return _seconds(torch.float32) >= WORTHWHILE * _seconds(torch.bfloat16)


def _seconds(dtype: torch.dtype) -> float:
    """Of a product as layers have them, the best of many on one thread: other programs slow a few of them, or one of
    several threads that wait for each other."""
    x, threads = torch.ones(256, 256, dtype=dtype), torch.get_num_threads()
    found = []
    torch.set_num_threads(1)
    for _ in range(ROUNDS):
        started = time.perf_counter()
        torch.nn.functional.linear(x, x)
        found.append(time.perf_counter() - started)
    torch.set_num_threads(threads)
    return min(found)

"""Timing of things to compare: in turn, round by round."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median

import torch
from tqdm import tqdm


def synchronise(device: torch.device) -> None:
    """Waits until an accelerator has done what it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def interleaved(
    calls: Mapping[str, Callable[[int], object]],
    rounds: int,
    device: torch.device,
    description: str,
    warm_up: int = 1,
) -> dict[str, list[float]]:
    """Seconds that each call took in each round.

    calls: each called with the number of the round; rounds: how many are timed; warm_up: untimed repeats of round 0
    before them; description: of the progress bar. The order within a round rotates, so that no call always has the
    same one before it.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    with tqdm(total=(rounds + warm_up) * len(names), desc=description, unit="call", leave=False, disable=None) as bar:
        for number in range(-warm_up, rounds):
            first = number % len(names)
            for name in names[first:] + names[:first]:
                synchronise(device)
                start = time.perf_counter()
                calls[name](max(number, 0))
                synchronise(device)
                if number >= 0:
                    seconds[name].append(time.perf_counter() - start)
                bar.update()
    return seconds


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> tuple[float, ...]:
    """The quotient of each round."""
    return tuple(a / b for a, b in zip(numerators, denominators, strict=True))


def summary(seconds: Mapping[str, Sequence[float]]) -> str:
    """The median of each call, in words."""
    return ", ".join(f"{name} {median(values):.3g} s" for name, values in seconds.items())

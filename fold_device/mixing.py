"""Whether the channels of a recording cancel each other in their mean."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

CANCELLED = 0.25  # of the energy that independent channels would keep in their mean: less, and they cancel each other
SHARE = 0.1  # of a recording's energy: if as much lies where its channels cancel each other, that is told


class Flaw(NamedTuple):
    """What is wrong with a recording that can be read. lost: the share of it that is missing, 1 if nobody can tell."""

    reason: str
    lost: float = 0.0


class Mixing:
    """What becomes of the energy of several channels in their mean, block by block, without what is constant in each.

    sample_rate: in Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate, self.channels = sample_rate, 0
        self.frames = self.cancelled_frames = 0
        self.energy = self.mixed_energy = self.cancelled_energy = 0.0

    def add(self, block: np.ndarray, mono: np.ndarray) -> None:
        """block: (frames, channels), at least one frame; mono: (frames,), their mean."""
        frames, self.channels = block.shape
        energy = frames * float(block.var(axis=0, dtype=np.float64).mean())
        mixed = frames * float(mono.var(dtype=np.float64))
        self.frames += frames
        self.energy += energy
        self.mixed_energy += mixed
        if self._cancels(energy, mixed):
            self.cancelled_frames += frames
            self.cancelled_energy += energy

    def flaws(self) -> Iterator[Flaw]:
        """That channels cancel each other, in all or in a part of it, if they do."""
        told = f"its {self.channels} channels cancel each other"
        if self._cancels(self.energy, self.mixed_energy):
            kept = self.mixed_energy / self.energy
            yield Flaw(f"{told} ({kept:.0%} of their energy is left in the mix)")
        elif self.cancelled_energy > SHARE * self.energy:
            seconds, total = self.cancelled_frames / self.sample_rate, self.frames / self.sample_rate
            yield Flaw(f"{told} in {seconds:.1f} of its {total:.1f} s")

    def _cancels(self, energy: float, mixed: float) -> bool:
        return self.channels > 1 and mixed < CANCELLED / self.channels * energy

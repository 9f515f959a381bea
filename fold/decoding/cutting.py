"""Recordings of any length: recognised an utterance at a time, within memory that does not grow with their length."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fold.decoding.words import FrameTimes
from fold.errors import FoldError
from fold.models import Architecture
from fold_device.cutting import Piece, Utterances


@dataclass(frozen=True)
class Cutting:
    """How recordings are cut into utterances; what holds no speech is left out (`fold_device.cutting.Utterances`).

    Args:
        pause: Seconds of quiet between two utterances. A model trained on long sentences may want more.
        longest: Seconds of an utterance, at most; where none pauses, it is cut where it is quietest.

    Raises:
        FoldError: A setting is not above 0.
    """

    pause: float = 0.3
    longest: float = 30.0

    def __post_init__(self) -> None:
        for name, seconds in (("pause", self.pause), ("longest", self.longest)):
            if not seconds > 0:
                raise FoldError(f"cutting.{name} is {seconds} s: expected more than 0")

    def __call__(self, samples: np.ndarray, sample_rate: int) -> Iterator[Piece]:
        """The utterances of a recording. samples: (samples,) float32 in [-1, 1]; sample_rate: in Hz."""
        return Utterances(sample_rate, self.pause, self.longest)([samples])


def needed_samples(architecture: Architecture, num_frames: int, sample_rate: int) -> int:
    """The fewest samples that give so many encoded frames; sample_rate: in Hz."""
    second = architecture.num_frames(10 * sample_rate, sample_rate) // 10
    most = (num_frames // second + 2) * sample_rate
    return bisect_left(range(most), num_frames, key=lambda samples: architecture.num_frames(samples, sample_rate))


def frame_times(architecture: Architecture, sample_rate: int, start: int = 0) -> FrameTimes:
    """When the encoded frames of an utterance are; sample_rate: in Hz; start: samples before it."""
    first = needed_samples(architecture, 1, sample_rate)
    return FrameTimes(first, needed_samples(architecture, 2, sample_rate) - first, sample_rate, start)

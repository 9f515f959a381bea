"""How long transcribing takes, measured so that what is timed together compares."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fold.decoding.decode import Decoding, Trial, transcribe
from fold.models import Recogniser
from fold.paths import Path
from fold.report.record import RealTime
from fold.text.units import Units


@dataclass(frozen=True)
class Timed:
    """What is timed: a model along one path, decoding as given.

    Attributes:
        sample_rate: of its audio, in Hz.
    """

    model: Recogniser
    units: Units
    sample_rate: int
    path: Path
    decoding: Decoding

    def factor(self, waveform: Tensor) -> float:
        """Seconds of computing for a second of (samples,) on the CPU; bringing it to the model's device is counted."""
        started = time.perf_counter()
        device = next(self.model.parameters()).device
        alone = waveform[None].to(device), torch.tensor([len(waveform)])
        transcribe(self.model, self.units, *alone, [Trial(self.path, self.decoding)])  # ends on the CPU: all is done
        return (time.perf_counter() - started) * self.sample_rate / len(waveform)


def in_turns(timed: Sequence[Timed], utterances: Sequence[Tensor]) -> list[RealTime]:
    """The real-time factors of each of `timed`, an utterance at a time as on a device; none without utterances.

    They take turns, so that what else the machine does slows all of them alike. Each utterance is run once more before,
    untimed, by each model, as the first run of a length prepares the others.

    Args:
        timed: what is to be compared.
        utterances: (samples,) each, on the CPU.
    """
    if not utterances:
        return []
    factors: list[list[float]] = [[] for _ in timed]
    first_of_model = {id(one.model): one for one in reversed(timed)}
    for waveform in utterances:
        for one in first_of_model.values():
            one.factor(waveform)
        for found, one in zip(factors, timed, strict=True):
            found.append(one.factor(waveform))
    return [RealTime(*map(float, np.quantile(found, (0.5, 0.25, 0.75)))) for found in factors]

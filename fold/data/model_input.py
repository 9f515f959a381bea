"""What a model takes, as far as batches have to know it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fold.text.units import Units
from fold.text.unknown import ALL_KNOWN, Unknown

FitsAudio = Callable[[Sequence[int], int], bool]
"""Whether audio of so many samples can hold a transcript of these units."""


@dataclass(frozen=True)
class ModelInput:
    """What a model takes.

    units: of its transcripts; fits: whether an utterance can be trained with; num_frames: that it makes of so many
    samples; unknown: how much of a training transcript may be.
    """

    units: Units
    fits: FitsAudio
    num_frames: Callable[[int], int]
    unknown: Unknown = ALL_KNOWN

"""Utterances joined in training, so that a model also recognises speech longer than one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fold.data.batching import Example
from fold.data.corpora.base import generator
from fold.errors import FoldError
from fold.text.units import Units

HOP_SECONDS = 0.02  # of a level
QUIET_SHARE = 0.1  # of an utterance: the level of its quietest parts is that of the room


@dataclass(frozen=True)
class Joining:
    """Some batches hold their utterances joined, one after another with pauses between, at different levels. A batch
    keeps its utterances, and so becomes longer by the pauses.

    Args:
        share: Share of the batches whose utterances are joined.
        most: Utterances joined into one, between 2 and this number, the same for a batch.
        max_seconds: Longest that the joined may become; 0.0 for any length.
        shortest_pause: Seconds between two utterances, at least.
        longest_pause: Seconds between two utterances, at most.
        level_range: Decibels by which levels differ, at most; louder than it was no utterance becomes.

    Raises:
        FoldError: A setting is out of range.
    """

    share: float = 0.25
    most: int = 4
    max_seconds: float = 30.0
    shortest_pause: float = 0.2
    longest_pause: float = 1.0
    level_range: float = 6.0

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise FoldError(f"joining.share is {self.share}: expected a share, 0 to 1")
        if self.most < 2:
            raise FoldError(f"joining.most is {self.most}: expected at least 2 utterances")
        if not 0 <= self.shortest_pause <= self.longest_pause:
            raise FoldError(
                f"joining: pauses of {self.shortest_pause} to {self.longest_pause} s; expected the shortest first"
            )
        if self.max_seconds < 0 or self.level_range < 0:
            raise FoldError("joining: max_seconds and level_range must not be negative")


@dataclass(frozen=True)
class Joiner:
    """Joins the utterances of batches.

    joining: how; sample_rate: in Hz; units: of the transcripts; fits: whether audio of so many samples holds
    so many units, None for always; random_seed: of all draws.
    """

    joining: Joining
    sample_rate: int
    units: Units
    fits: Callable[[Sequence[int], int], bool] | None
    random_seed: int

    def __call__(self, examples: Sequence[Example]) -> list[Example]:
        """The same utterances, some of them joined. The draw depends only on the batch and the seed, so that any
        worker and a resumed run make the same; another number of devices cuts other batches, and joins others."""
        if len(examples) < 2:
            return list(examples)
        random = generator("join", self.random_seed, len(examples), examples[0].id, examples[-1].id)
        if random.random() >= self.joining.share:
            return list(examples)
        number = int(random.integers(2, self.joining.most + 1))
        groups = [examples[first : first + number] for first in range(0, len(examples), number)]
        return [example for group in groups for example in self._joined(group, random)]

    def _joined(self, examples: Sequence[Example], random: np.random.Generator) -> list[Example]:
        """One utterance of several; these, if that cannot be: as where no unit stands for the space between."""
        pieces: list[Tensor] = []
        for example in examples:
            if pieces:
                pieces.append(self._pause(pieces[-1], random))
            pieces.append(example.waveform * 10 ** (-random.uniform(0, self.joining.level_range) / 20))
        waveform, text = torch.cat(pieces), self.units.joined(example.text for example in examples)
        units = self.units.encode(text)
        unwritten = self.units.unk in units and not any(self.units.unk in example.units for example in examples)
        too_long = 0 < self.joining.max_seconds * self.sample_rate < len(waveform)
        if unwritten or too_long or (self.fits is not None and not self.fits(units, len(waveform))):
            return list(examples)
        id, encoded = "+".join(example.id for example in examples), torch.tensor(units, dtype=torch.long)
        return [Example(id, text, waveform, encoded, examples[0].subset)]

    def _pause(self, before: Tensor, random: np.random.Generator) -> Tensor:
        """Noise as loud as the quietest parts of what was said before."""
        seconds = random.uniform(self.joining.shortest_pause, self.joining.longest_pause)
        hop = round(HOP_SECONDS * self.sample_rate)
        levels = before[: len(before) // hop * hop].view(-1, hop).square().mean(1)
        level = levels.quantile(QUIET_SHARE).sqrt().item() if len(levels) else 0.0
        noise = random.standard_normal(round(seconds * self.sample_rate), dtype=np.float32)
        return level * torch.from_numpy(noise)

"""What synthesised corpora have in common: a size, many voices, and no folder."""

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from fold.data.corpora.base import Corpus, Recipe, generator
from fold.data.corpora.voices import ACCENTS, VARIANTS
from fold.errors import FoldError


@dataclass(frozen=True)
class Synthetic(Corpus):
    """A corpus of synthetic voices, of which no split has a variant of another. Sizes are settings of subclasses."""

    seconds_per_utterance: ClassVar[float]
    """Measured mean over the training split; turns hours into a number of utterances."""

    hours: float
    dev_utterances: int
    test_utterances: int
    random_seed: int

    @abstractmethod
    def text(self, split: str, index: int, rng: np.random.Generator) -> str:
        """The transcript of an utterance; rng: its own."""

    def locate(self, root: Path | None, downloads: Path) -> None:
        if root is not None:
            raise FoldError(f"{self.name} is synthesised and reads no folder; leave out the root {root}")

    def fetch(self, downloads: Path) -> None:
        return None

    def recipes(self, split: str, root: Path | None) -> list[Recipe]:
        return [self._recipe(split, index) for index in range(self.count(split))]

    def count(self, split: str) -> int:
        """Utterances of a split."""
        utterances = {"dev": self.dev_utterances, "test": self.test_utterances}
        return utterances.get(split, round(self.hours * 3600 / self.seconds_per_utterance))

    def _recipe(self, split: str, index: int) -> Recipe:
        rng = generator(self.random_seed, split, index)
        variant = VARIANTS[split][index % len(VARIANTS[split])]  # in turns, so that each speaks equally often
        accent = ACCENTS[rng.integers(len(ACCENTS))]
        return Recipe(f"{split}-{index:06d}", self.text(split, index, rng), f"{accent}+{variant}")

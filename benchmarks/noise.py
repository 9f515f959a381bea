"""A corpus without content, of any size in seconds of work: what speed and memory are measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from fold.data.corpora import Corpus, Recipe, Utterance
from fold.data.corpora.base import generator

SYLLABLES = ["".join(pair) for pair in product("bdfghklmnprstvz", "aeiou")]
LEXICON = 4000  # words, as frequent as Zipf has it: enough for some thousand units
WORDS_PER_SECOND = 2.7


@dataclass(frozen=True)
class Noise(Corpus):
    """Utterances of LibriSpeech's lengths whose words have nothing to do with their sound.

    train, dev, test: numbers of utterances; seconds: the longest.
    """

    train: int = 260
    dev: int = 4
    test: int = 4
    seconds: float = 16.0

    def fetch(self, downloads: Path) -> Path | None:
        return None

    def recipes(self, split: str, root: Path | None) -> Sequence[Recipe]:
        random = generator("noise", split)
        lexicon = generator("noise", "lexicon")
        words = ["".join(lexicon.choice(SYLLABLES, lexicon.integers(1, 4))) for _ in range(LEXICON)]
        frequencies = 1 / np.arange(1, LEXICON + 1)
        frequencies /= frequencies.sum()
        recipes = []
        for index in range(getattr(self, split)):
            number = max(1, int(WORDS_PER_SECOND * self._length(f"{split}-{index:04d}")))
            text = " ".join(random.choice(words, number, p=frequencies))
            recipes.append(Recipe(f"{split}-{index:04d}", text, "noise"))
        return recipes

    def render(self, recipe: Recipe, root: Path | None) -> Utterance:
        length = int(self._length(recipe.id) * 16_000)
        samples = generator("noise", recipe.id).normal(scale=0.05, size=length // 16).repeat(16)
        return Utterance(recipe.id, recipe.text, recipe.speaker, samples.astype(np.float32), 16_000)

    def _length(self, id: str) -> float:
        return self.seconds * generator("noise", "length", id).beta(4, 1)

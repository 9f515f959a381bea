"""Read sentences of an open vocabulary, synthesised with espeak-ng; nothing to download."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from fold.data.corpora import augment
from fold.data.corpora.base import Recipe, Utterance, generator
from fold.data.corpora.book import phrases
from fold.data.corpora.speaker import recorded, speak
from fold.data.corpora.synthetic import Synthetic
from fold.errors import FoldError


@dataclass(frozen=True)
class Sentences(Synthetic):
    """Phrases of a book, read by many synthetic voices in many accents, half of them in rooms, all in noise.

    Voices, and the books that the phrases are from, are new in the test: 3.6 % of its words are not in training.

    Args:
        hours: Training speech, to within a few percent; beyond 22, phrases occur more than once.
        dev_utterances: Size of the dev split, at most 692.
        test_utterances: Size of the test split, at most 1,953.
        random_seed: Of the choice of phrases, voices, rates, rooms, noises and levels.
    """

    seconds_per_utterance = 3.1

    hours: float = 6.0
    dev_utterances: int = 400
    test_utterances: int = 1200
    random_seed: int = 1

    def recipes(self, split: str, root: Path | None) -> list[Recipe]:
        known = len(phrases()[split])
        if split != "train" and self.count(split) > known:
            raise FoldError(
                f"{self.name}: {split}_utterances is {self.count(split)}, the book has {known} phrases for {split}"
            )
        return super().recipes(split, root)

    def text(self, split: str, index: int, rng: np.random.Generator) -> str:
        texts = phrases()[split]
        place: int = shuffled_order(self.random_seed, split, len(texts))[index % len(texts)]
        return texts[place]

    def render(self, recipe: Recipe, root: Path | None) -> Utterance:
        rng = generator(self.random_seed, "sound", recipe.id)
        speech, sample_rate = speak(recipe, rng)
        heard = augment.in_room(speech, sample_rate, rng) if rng.random() < 0.5 else speech
        samples = recorded(heard, sample_rate, rng, pauses=(0.05, 0.5), lowest_snr=5)
        return Utterance(recipe.id, recipe.text, recipe.speaker, samples, sample_rate)

    def sample_sentences(self, number: int) -> list[str]:
        """Return phrases that training may hold, each time the same."""
        return list(phrases()["train"][:number])


@lru_cache
def shuffled_order(random_seed: int, split: str, number: int) -> np.ndarray:
    """In which order the phrases of a split are read, (number,)."""
    return generator(random_seed, "order", split).permutation(number)

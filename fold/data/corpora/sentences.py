"""Read sentences of an open vocabulary, synthesised with espeak-ng; nothing to download."""

from dataclasses import dataclass
from pathlib import Path

from fold.data.corpora import augment
from fold.data.corpora.base import Corpus, Recipe, Utterance, generator
from fold.data.corpora.book import phrases
from fold.data.corpora.speaker import recorded, speak
from fold.data.corpora.voices import ACCENTS, VARIANTS
from fold.errors import FoldError

SECONDS_PER_UTTERANCE = 3.1
"""Measured mean over the training split; turns hours into a number of utterances."""


@dataclass(frozen=True)
class Sentences(Corpus):
    """Phrases of a book, read by many synthetic voices in many accents, half of them in rooms, all in noise.

    Voices, and the books that the phrases are from, are new in the test: 3.6 % of its words are not in training.

    Args:
        hours: Training speech, to within a few percent; beyond 22, phrases occur more than once.
        dev_utterances: Size of the dev split, at most 692.
        test_utterances: Size of the test split, at most 1,953.
        random_seed: Of the choice of phrases, voices, rates, rooms, noises and levels.
    """

    hours: float = 6.0
    dev_utterances: int = 400
    test_utterances: int = 1200
    random_seed: int = 1

    def locate(self, root: Path | None, downloads: Path) -> None:
        if root is not None:
            raise FoldError(f"{self.name} is synthesised and reads no folder; leave out the root {root}")

    def fetch(self, downloads: Path) -> None:
        return None

    def recipes(self, split: str, root: Path | None) -> list[Recipe]:
        texts = phrases()[split]
        count = {
            "train": round(self.hours * 3600 / SECONDS_PER_UTTERANCE),
            "dev": self.dev_utterances,
            "test": self.test_utterances,
        }[split]
        if split != "train" and count > len(texts):
            raise FoldError(
                f"{self.name}: {split}_utterances is {count}, the book has {len(texts)} phrases for {split}"
            )
        order = generator(self.random_seed, "order", split).permutation(len(texts))
        return [self._recipe(split, index, texts[order[index % len(order)]]) for index in range(count)]

    def render(self, recipe: Recipe, root: Path | None) -> Utterance:
        rng = generator(self.random_seed, "sound", recipe.id)
        speech, sample_rate = speak(recipe, rng)
        heard = augment.in_room(speech, sample_rate, rng) if rng.random() < 0.5 else speech
        samples = recorded(heard, sample_rate, rng, pauses=(0.05, 0.5), lowest_snr=5)
        return Utterance(recipe.id, recipe.text, recipe.speaker, samples, sample_rate)

    def sample_sentences(self, number: int) -> list[str]:
        """Return phrases that training may hold, each time the same."""
        return list(phrases()["train"][:number])

    def _recipe(self, split: str, index: int, text: str) -> Recipe:
        rng = generator(self.random_seed, split, index)
        variant = VARIANTS[split][index % len(VARIANTS[split])]  # in turns, so that each speaks equally often
        accent = ACCENTS[rng.integers(len(ACCENTS))]
        return Recipe(f"{split}-{index:06d}", text, f"{accent}+{variant}")

"""The embedded corpus: spoken commands, synthesised with espeak-ng; nothing to download."""

import zlib
from dataclasses import dataclass
from pathlib import Path

from fold.data.corpora.base import Corpus, Recipe, Utterance, generator
from fold.data.corpora.grammar import sentence
from fold.data.corpora.speaker import recorded, speak
from fold.data.corpora.voices import ACCENTS, VARIANTS
from fold.errors import FoldError

SECONDS_PER_UTTERANCE = 2.05
"""Measured mean over the training split; turns hours into a number of utterances."""


@dataclass(frozen=True)
class Commands(Corpus):
    """Synthetic spoken commands: many voices and accents, noise and level changes.

    Voices and sentences of the test are new: no split shares a voice variant or a sentence with another.

    Args:
        hours: Training speech, to within a few percent.
        dev_utterances: Size of the dev split.
        test_utterances: Size of the test split.
        random_seed: Of sentences, voices, rates, noises and levels.
    """

    hours: float = 2.0
    dev_utterances: int = 300
    test_utterances: int = 600
    random_seed: int = 1

    def locate(self, root: Path | None, downloads: Path) -> None:
        if root is not None:
            raise FoldError(f"{self.name} is synthesised and reads no folder; leave out the root {root}")

    def fetch(self, downloads: Path) -> None:
        return None

    def recipes(self, split: str, root: Path | None) -> list[Recipe]:
        count = {
            "train": round(self.hours * 3600 / SECONDS_PER_UTTERANCE),
            "dev": self.dev_utterances,
            "test": self.test_utterances,
        }[split]
        return [self._recipe(split, index) for index in range(count)]

    def render(self, recipe: Recipe, root: Path | None) -> Utterance:
        rng = generator(self.random_seed, "sound", recipe.id)
        speech, sample_rate = speak(recipe, rng)
        samples = recorded(speech, sample_rate, rng, pauses=(0.05, 0.3), lowest_snr=10)
        return Utterance(recipe.id, recipe.text, recipe.speaker, samples, sample_rate)

    def sample_sentences(self, number: int) -> list[str]:
        """Return sentences of the grammar, each time the same, that begin with different words as far as they can."""
        rng = generator(self.random_seed, "sample sentences")
        drawn = list(dict.fromkeys(sentence(rng) for _ in range(20 * number)))
        by_first_word = {text.split()[0]: text for text in reversed(drawn)}
        varied = sorted(by_first_word.values(), key=drawn.index)
        return [*varied, *(text for text in drawn if text not in varied)][:number]

    def _recipe(self, split: str, index: int) -> Recipe:
        rng = generator(self.random_seed, split, index)
        # Variants take turns, so that each speaks equally often.
        variant = VARIANTS[split][index % len(VARIANTS[split])]
        accent = ACCENTS[rng.integers(len(ACCENTS))]
        text = sentence(rng)
        while _split_of(text) != split:
            text = sentence(rng)
        return Recipe(f"{split}-{index:06d}", text, f"{accent}+{variant}")


def _split_of(text: str) -> str:
    """Assign every possible sentence to one split; otherwise over half of the test would be in training."""
    return {0: "test", 1: "dev"}.get(zlib.crc32(text.encode()) % 10, "train")

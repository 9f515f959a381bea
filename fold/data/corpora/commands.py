"""The embedded corpus: spoken commands, synthesised with espeak-ng; nothing to download."""

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fold.data.corpora.base import Recipe, Utterance, generator
from fold.data.corpora.grammar import few_words, sentence
from fold.data.corpora.speaker import recorded, speak, speak_word_by_word
from fold.data.corpora.synthetic import Synthetic
from fold.errors import FoldError


@dataclass(frozen=True)
class Commands(Synthetic):
    """Synthetic spoken commands: many voices and accents, noise and level changes.

    Voices and sentences of the test are new: no split shares a voice variant or a sentence with another.

    Args:
        hours: Training speech, to within a few percent.
        dev_utterances: Size of the dev split.
        test_utterances: Size of the test split.
        random_seed: Of sentences, voices, rates, noises and levels.
        parts: Share of the training utterances that are not commands but a few words of one, or digits, half of them
            said word by word. Models that heard only commands hear them in all that is said.

    Raises:
        FoldError: The share is out of range.
    """

    seconds_per_utterance = 2.05
    added = ("parts",)

    hours: float = 2.0
    dev_utterances: int = 300
    test_utterances: int = 600
    random_seed: int = 1
    parts: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.parts <= 1:
            raise FoldError(f"data.corpus.parts is {self.parts}: expected a share, 0 to 1")

    def text(self, split: str, index: int, rng: np.random.Generator) -> str:
        draw = few_words if self._is_part(split, index) else sentence
        text = draw(rng)
        while _split_of(text) != split:
            text = draw(rng)
        return text

    def render(self, recipe: Recipe, root: Path | None) -> Utterance:
        rng = generator(self.random_seed, "sound", recipe.id)
        split, index = recipe.id.split("-")
        apart = self._is_part(split, int(index)) and rng.random() < 0.5
        speech, sample_rate = (speak_word_by_word if apart else speak)(recipe, rng)
        samples = recorded(speech, sample_rate, rng, pauses=(0.05, 0.3), lowest_snr=10)
        return Utterance(recipe.id, recipe.text, recipe.speaker, samples, sample_rate)

    def _is_part(self, split: str, index: int) -> bool:
        return split == "train" and generator(self.random_seed, "part", index).random() < self.parts

    def sample_sentences(self, number: int) -> list[str]:
        """Return sentences of the grammar, each time the same, that begin with different words as far as they can."""
        rng = generator(self.random_seed, "sample sentences")
        drawn = list(dict.fromkeys(sentence(rng) for _ in range(20 * number)))
        by_first_word = {text.split()[0]: text for text in reversed(drawn)}
        varied = sorted(by_first_word.values(), key=drawn.index)
        return [*varied, *(text for text in drawn if text not in varied)][:number]


def _split_of(text: str) -> str:
    """Assign every possible sentence to one split; otherwise over half of the test would be in training."""
    return {0: "test", 1: "dev"}.get(zlib.crc32(text.encode()) % 10, "train")

"""A corpus that a tiny model learns in seconds: each word is a tone of its own.

Imports little: the processes that prepare it import this file.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fold.data.corpora import Corpus, Recipe, Utterance
from fold.data.corpora.base import generator

SAMPLE_RATE = 8000
TONES = {"a": 400.0, "b": 900.0, "c": 1600.0, "d": 2600.0}  # Hz


@dataclass(frozen=True)
class Tones(Corpus):
    """Words of one letter, each a tone of about 0.2 s with a pause of 0.1 s after it, in noise."""

    train: int = 200
    dev: int = 20
    test: int = 30
    random_seed: int = 1

    def fetch(self, downloads: Path) -> Path | None:
        return None

    def recipes(self, split: str, root: Path | None) -> Sequence[Recipe]:
        random = generator(self.random_seed, split)
        words = [random.choice(list(TONES), random.integers(2, 6)) for _ in range(getattr(self, split))]
        return [Recipe(f"{split}-{i:04d}", " ".join(text), "tone") for i, text in enumerate(words)]

    def render(self, recipe: Recipe, root: Path | None) -> Utterance:
        random = generator(self.random_seed, recipe.id)
        time = np.arange(random.integers(0.18 * SAMPLE_RATE, 0.24 * SAMPLE_RATE)) / SAMPLE_RATE
        pause = np.zeros(int(0.1 * SAMPLE_RATE))
        pieces = [np.concatenate([np.sin(2 * np.pi * TONES[word] * time), pause]) for word in recipe.text.split()]
        samples = np.concatenate([pause, *pieces]) * 0.3
        noisy = samples + random.normal(scale=0.01, size=len(samples))
        return Utterance(recipe.id, recipe.text, recipe.speaker, noisy.astype(np.float32), SAMPLE_RATE)


@dataclass(frozen=True)
class OtherTones(Tones):
    """The same sound, its fourth word written with letters that `Tones` does not have."""

    def recipes(self, split: str, root: Path | None) -> Sequence[Recipe]:
        return [replace(recipe, text=recipe.text.replace("d", "ef")) for recipe in super().recipes(split, root)]

    def render(self, recipe: Recipe, root: Path | None) -> Utterance:
        sounding = super().render(replace(recipe, text=recipe.text.replace("ef", "d")), root)
        return replace(sounding, text=recipe.text)


@dataclass(frozen=True)
class Clicks(Tones):
    """One training utterance is too short for a frame."""

    def render(self, recipe: Recipe, root: Path | None) -> Utterance:
        utterance = super().render(recipe, root)
        return replace(utterance, samples=utterance.samples[:50]) if recipe.id == "train-0003" else utterance


@dataclass(frozen=True)
class Cut(Tones):
    """All recordings are cut to one length in seconds."""

    seconds: float = 1.0

    def render(self, recipe: Recipe, root: Path | None) -> Utterance:
        utterance = super().render(recipe, root)
        return replace(utterance, samples=np.resize(utterance.samples, round(self.seconds * SAMPLE_RATE)))

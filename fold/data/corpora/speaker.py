"""How a synthetic speaker says a text: rate, pitch and melody drawn anew for every utterance."""

from dataclasses import replace

import numpy as np

from fold.data.corpora import augment
from fold.data.corpora.base import Recipe
from fold.data.corpora.espeak import synthesize
from fold.errors import FoldError


def speak(recipe: Recipe, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """Return a transcript in its voice: samples as float32 in [-1, 1], shape (samples,), and their rate in Hz.

    Raises:
        FoldError: the voice is unknown, or says nothing.
    """
    speech, sample_rate = synthesize(
        recipe.text,
        recipe.speaker,
        rate=int(rng.integers(130, 221)),
        pitch=int(rng.integers(30, 71)),
        pitch_range=int(rng.integers(30, 81)),
        seed=int(rng.integers(2**31)),
    )
    if not speech.any():
        raise FoldError(f"espeak-ng is silent: voice '{recipe.speaker}', text '{recipe.text}'")
    return speech, sample_rate


def speak_word_by_word(recipe: Recipe, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """As `speak`, but each word for itself, with 20 to 400 ms of silence between them.

    Half of the time a noise surrounds each word, 10 to 40 dB fainter than it, as on lines that are silent where nobody
    speaks.
    """
    noisy, make_noise, snr = rng.random() < 0.5, augment.NOISES[rng.integers(len(augment.NOISES))], rng.uniform(10, 40)
    pieces: list[np.ndarray] = []
    for word in recipe.text.split():
        speech, sample_rate = speak(replace(recipe, text=word), rng)
        said = _trimmed(speech) * 10 ** (rng.uniform(-6, 0) / 20)
        if noisy:
            around = (rng.uniform(0, 0.05, size=2) * sample_rate).astype(int)
            noise = make_noise(len(said) + int(around.sum()), sample_rate, rng)
            said = augment.add_noise(np.pad(said, around), noise, snr, said)
        pieces += [said, np.zeros(round(rng.uniform(0.02, 0.4) * sample_rate))]
    return np.concatenate(pieces[:-1]).astype(np.float32), sample_rate


def _trimmed(speech: np.ndarray) -> np.ndarray:
    """Speech without what is 40 dB below its peak at the ends."""
    loud = np.flatnonzero(np.abs(speech) > 0.01 * np.abs(speech).max())
    return speech[loud[0] : loud[-1] + 1]


def recorded(
    speech: np.ndarray, sample_rate: int, rng: np.random.Generator, *, pauses: tuple[float, float], lowest_snr: float
) -> np.ndarray:
    """Return speech between two pauses, in noise, at some level: float32, shape (samples,).

    Args:
        speech: shape (samples,).
        sample_rate: in Hz.
        rng: of lengths, noise and level.
        pauses: shortest and longest, in seconds.
        lowest_snr: least signal-to-noise ratio in dB; the greatest is 40.
    """
    before, after = rng.uniform(*pauses, size=2)
    padded = np.pad(speech, (round(before * sample_rate), round(after * sample_rate)))
    make_noise = augment.NOISES[rng.integers(len(augment.NOISES))]
    noise = make_noise(len(padded), sample_rate, rng)
    noisy = augment.add_noise(padded, noise, snr=rng.uniform(lowest_snr, 40), speech=speech)
    return augment.set_peak(noisy, rng.uniform(-20, -1)).astype(np.float32)

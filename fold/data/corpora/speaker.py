"""How a synthetic speaker says a text: rate, pitch and melody drawn anew for every utterance."""

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

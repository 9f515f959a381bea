"""Background noises, rooms and levels, drawn from a generator and made from nothing else."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from fold.audio import fft_length


def white(num_samples: int, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Noise of equal power at every frequency."""
    return rng.standard_normal(num_samples)


def pink(num_samples: int, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Noise whose power falls with 1 / frequency, as a distant road or rain."""
    size, response = _pink_response(num_samples, sample_rate)
    heard = np.fft.irfft(np.fft.rfft(rng.standard_normal(num_samples), size) * response, size)
    noise = heard[:num_samples]
    noise[:-1] += heard[num_samples : 2 * num_samples - 1]  # what comes after the end goes on at the beginning
    return noise


@lru_cache(maxsize=1)
def _pink_response(num_samples: int, sample_rate: int) -> tuple[int, np.ndarray]:
    """What makes white noise pink, as a filter of `num_samples` that goes round, and the length of transforms in which
    it does not. One of `num_samples` itself, often a multiple of a large prime, takes many times as long: here is the
    only one, for all noises of a babble."""
    frequency = np.fft.rfftfreq(num_samples, 1 / sample_rate)
    once = np.fft.irfft(1 / np.sqrt(np.maximum(frequency, 20)), num_samples)
    size = fft_length(2 * num_samples - 1)
    return size, np.fft.rfft(once, size)


def hum(num_samples: int, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Mains hum: a tone of 50 or 60 Hz and its harmonics, over a little white noise."""
    base = rng.choice([50.0, 60.0])
    time = np.arange(num_samples) / sample_rate
    harmonics = np.arange(1, 20)
    weights = rng.uniform(0.2, 1, len(harmonics)) / harmonics
    phases = rng.uniform(0, 2 * np.pi, len(harmonics))
    tones = np.sin(2 * np.pi * base * np.outer(harmonics, time) + phases[:, None])
    mixed: np.ndarray = weights @ tones
    return mixed + 0.1 * rng.standard_normal(num_samples)


def babble(num_samples: int, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """A murmur: several pink noises, each swelling and fading at the pace of syllables."""
    time = np.arange(num_samples) / sample_rate
    total = np.zeros(num_samples)
    for _ in range(3):
        swell = 1 + np.sin(2 * np.pi * (rng.uniform(2, 6) * time + rng.uniform()))
        total += swell * pink(num_samples, sample_rate, rng)
    return total


NOISES: tuple[Callable[[int, int, np.random.Generator], np.ndarray], ...] = (white, pink, hum, babble)


def add_noise(samples: np.ndarray, noise: np.ndarray, snr: float, speech: np.ndarray) -> np.ndarray:
    """Add noise at a signal-to-noise ratio of `snr` dB, the signal's power being that of `speech`."""
    wanted = np.sqrt(np.mean(speech**2)) * 10 ** (-snr / 20)
    noisy: np.ndarray = samples + noise * (wanted / np.sqrt(np.mean(noise**2)))
    return noisy


def in_room(speech: np.ndarray, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Speech as a microphone some steps away hears it: with an echo of noise that decays exponentially.

    The echo dies by 60 dB in 0.1 to 0.6 s, and holds as much energy as the direct sound, or up to 15 dB less
    (Polack's model of late reverberation). Shape (samples,), longer than the speech by the echo.
    """
    decay = rng.uniform(0.1, 0.6)
    time = np.arange(round(decay * sample_rate)) / sample_rate
    echo = rng.standard_normal(len(time)) * 10 ** (-3 * time / decay)
    echo *= 10 ** (-rng.uniform(0, 15) / 20) / np.sqrt(np.sum(echo**2))
    echo[0] += 1
    size = len(speech) + len(echo) - 1  # `fft_length` of it is faster, but changes the last bit of samples: checksums
    heard: np.ndarray = np.fft.irfft(np.fft.rfft(speech, size) * np.fft.rfft(echo, size), size)
    return heard


def set_peak(samples: np.ndarray, peak: float) -> np.ndarray:
    """Scale so that the largest sample has `peak` dB relative to full scale (at most 0: never clips)."""
    scaled: np.ndarray = samples * (10 ** (peak / 20) / np.abs(samples).max())
    return scaled

"""Background noises and levels, drawn from a generator and made from nothing else."""

from collections.abc import Callable

import numpy as np


def white(num_samples: int, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Noise of equal power at every frequency."""
    return rng.standard_normal(num_samples)


def pink(num_samples: int, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Noise whose power falls with 1 / frequency, as a distant road or rain."""
    spectrum = np.fft.rfft(rng.standard_normal(num_samples))
    frequency = np.fft.rfftfreq(num_samples, 1 / sample_rate)
    return np.fft.irfft(spectrum / np.sqrt(np.maximum(frequency, 20)), num_samples)


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


def set_peak(samples: np.ndarray, peak: float) -> np.ndarray:
    """Scale so that the largest sample has `peak` dB relative to full scale (at most 0: never clips)."""
    scaled: np.ndarray = samples * (10 ** (peak / 20) / np.abs(samples).max())
    return scaled

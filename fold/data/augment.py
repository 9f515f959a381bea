"""Training speech as other places and lines would carry it: room responses, noise, a telephone.

What an utterance meets depends only on (random seed, epoch, utterance), so that any number of workers and ranks, and a
resumed run, hear the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import soundfile
import soxr
import torch
from torchaudio.functional import fftconvolve

from fold.audio import fft_length, read_stream
from fold.data.corpora.augment import add_noise
from fold.data.corpora.base import generator
from fold.data.sounds import Sound, sounds_in
from fold.errors import FoldError

TELEPHONE_RATE = 8000  # Hz
TELEPHONE_BAND = (300.0, 3400.0)  # Hz
MU = 255.0  # of the µ-law, whose codes have 8 bits

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""Makes of an utterance's samples as many others, with what it draws from the generator. Raises FoldError for a file
that cannot be used."""


@dataclass(frozen=True)
class Noise:
    """Noise from recordings, added to some training utterances: a stretch of a file, both drawn.

    Args:
        folder: Of audio files of any sample rate, at any depth, or of tars of them, such as MUSAN's, or one tar; of
            several channels the first counts.
        share: Share of the utterances that noise is added to.
        snr: Least and greatest signal-to-noise ratio in decibels, between which it is drawn.

    Raises:
        FoldError: A setting is out of range.
    """

    folder: str
    share: float = 0.5
    snr: tuple[float, float] = (5.0, 20.0)

    def __post_init__(self) -> None:
        _check_share("noise", self.share)
        if not self.snr[0] <= self.snr[1]:
            raise FoldError(f"data.noise.snr is {list(self.snr)}: expected the least ratio first, in dB")

    def change(self, sample_rate: int) -> Change:
        """Raises FoldError if the folder holds no audio."""
        return partial(_with_noise, sounds=sounds_in("noise", self.folder), snr=self.snr, sample_rate=sample_rate)


@dataclass(frozen=True)
class Rooms:
    """Rooms in which some training utterances are said: each by the response of one to a click, as a file.

    Args:
        folder: Of responses, audio files of any sample rate, at any depth, or of tars of them, such as
            RIRS_NOISES/simulated_rirs, or one tar; of several channels the first counts.
        share: Share of the utterances that are said in a room.

    Raises:
        FoldError: A setting is out of range.
    """

    folder: str
    share: float = 0.5

    def __post_init__(self) -> None:
        _check_share("rooms", self.share)

    def change(self, sample_rate: int) -> Change:
        """Raises FoldError if the folder holds no audio."""
        return partial(_in_a_room, sounds=sounds_in("rooms", self.folder), sample_rate=sample_rate)


@dataclass(frozen=True)
class Telephone:
    """Some training utterances as a telephone carries them: 300 to 3400 Hz at 8 kHz, in 8 bits of µ-law.

    Args:
        share: Share of the utterances.

    Raises:
        FoldError: A setting is out of range.
    """

    share: float = 0.5

    def __post_init__(self) -> None:
        _check_share("telephone", self.share)

    def change(self, sample_rate: int) -> Change:
        return partial(_by_telephone, sample_rate=sample_rate)


class _Possible(NamedTuple):
    """What may happen to an utterance, and to which share of them; name: of its own draws."""

    name: str
    share: float
    change: Change


class Augmenter:
    """Changes the samples of training utterances, in the order in which sound travels.

    sample_rate: in Hz; random_seed: of all draws; rooms, noise, telephone: None for what does not happen.
    Raises FoldError if a folder holds no audio.
    """

    def __init__(
        self, sample_rate: int, random_seed: int, rooms: Rooms | None, noise: Noise | None, telephone: Telephone | None
    ) -> None:
        self.random_seed = random_seed
        named = {"rooms": rooms, "noise": noise, "telephone": telephone}
        self._possible = [_Possible(n, kind.share, kind.change(sample_rate)) for n, kind in named.items() if kind]

    def __call__(self, samples: np.ndarray, epoch: int, id: str) -> np.ndarray:
        """As many samples, (num_samples,) float32 in [-1, 1], as this utterance is heard in this epoch. Raises
        FoldError if the file drawn for it cannot be used."""
        for name, share, change in self._possible:
            random = generator("augment", name, self.random_seed, epoch, id)
            if random.random() < share:
                samples = change(samples, random)
                samples = (samples / max(1.0, float(np.abs(samples).max()))).astype(np.float32)
        return samples


def _check_share(setting: str, share: float) -> None:
    if not 0 <= share <= 1:
        raise FoldError(f"data.{setting}.share is {share}: expected a share, 0 to 1")


def _one_of(sounds: Sequence[Sound], random: np.random.Generator) -> Sound:
    return sounds[int(random.integers(len(sounds)))]


def _with_noise(
    samples: np.ndarray,
    random: np.random.Generator,
    sounds: Sequence[Sound],
    snr: tuple[float, float],
    sample_rate: int,
) -> np.ndarray:
    ratio = random.uniform(*snr)
    noise = _stretch(_one_of(sounds, random), len(samples), sample_rate, random)
    noise = noise - noise.mean()
    return add_noise(samples, noise, ratio, samples) if noise.any() else samples  # a silent stretch adds nothing


def _stretch(sound: Sound, num_samples: int, sample_rate: int, random: np.random.Generator) -> np.ndarray:
    """So many samples of a sound from a drawn place on, repeated if they are fewer. Raises FoldError if it has none."""
    try:
        with sound.opened() as stream, soundfile.SoundFile(stream) as audio:
            rate = audio.samplerate
            wanted = -(-num_samples * rate // sample_rate)
            audio.seek(int(random.integers(max(0, audio.frames - wanted) + 1)))
            found = audio.read(wanted, dtype="float32", always_2d=True)[:, 0]
    except (soundfile.SoundFileError, OSError, ValueError) as error:
        reason = getattr(error, "error_string", error)  # without the name of the file
        raise FoldError(f"{sound}: not audio that libsndfile reads ({reason})") from None
    if not len(found) or not np.isfinite(found).all():
        raise FoldError(f"{sound}: holds no samples, or some that are NaN or infinite")
    return np.resize(soxr.resample(found, rate, sample_rate), num_samples)


def _in_a_room(
    samples: np.ndarray, random: np.random.Generator, sounds: Sequence[Sound], sample_rate: int
) -> np.ndarray:
    """The samples with what the walls send back. The direct sound stays in its place, and the level what it was."""
    sound = _one_of(sounds, random)
    with sound.opened() as stream:
        response = read_stream(str(sound), stream, sample_rate, channel=1).samples
    if not response.any():
        raise FoldError(f"{sound}: a silent response of a room")
    response = response[np.abs(response).argmax() :][: len(samples)]
    heard: np.ndarray = fftconvolve(torch.from_numpy(samples), torch.from_numpy(response)).numpy()[: len(samples)]
    energy = np.square(heard).sum()
    return heard * np.sqrt(np.square(samples).sum() / energy) if energy else samples


def _by_telephone(samples: np.ndarray, random: np.random.Generator, sample_rate: int) -> np.ndarray:
    rate = min(sample_rate, TELEPHONE_RATE)
    line = soxr.resample(samples, sample_rate, rate)
    size = fft_length(len(line))
    frequency = np.fft.rfftfreq(size, 1 / rate)
    carried = (frequency >= TELEPHONE_BAND[0]) & (frequency <= TELEPHONE_BAND[1])
    line = np.fft.irfft(np.fft.rfft(line, size) * carried, size)[: len(line)].clip(-1, 1)
    # Not torchaudio's µ-law, which has no code for silence.
    codes = np.rint(127 * np.sign(line) * np.log1p(MU * np.abs(line)) / np.log1p(MU))
    decoded = np.sign(codes) * np.expm1(np.abs(codes) / 127 * np.log1p(MU)) / MU
    heard = soxr.resample(decoded, rate, sample_rate)[: len(samples)]
    return np.pad(heard, (0, len(samples) - len(heard)))

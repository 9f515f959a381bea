"""Audio files as samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

from fold.errors import FoldError

BLOCK = 1 << 16  # samples read at once


def read_audio(file: str | Path, sample_rate: int | None = None) -> tuple[np.ndarray, int]:
    """Reads a file of any format, length and number of channels that libsndfile knows (wav, flac, ogg, mp3, ...).

    It is read and resampled block by block: the sound at its own rate and with all its channels is never held whole.

    Args:
        file: the audio file.
        sample_rate: the rate to resample to, in Hz; None for that of the file.

    Returns:
        Samples, (samples,) float32 in [-1, 1], channels averaged; perhaps none. And their rate in Hz.

    Raises:
        FoldError: the file is missing or is no audio.
    """
    try:
        with soundfile.SoundFile(file) as audio:
            rate = sample_rate or audio.samplerate
            mono = (block.mean(axis=1) for block in audio.blocks(BLOCK, dtype="float32", always_2d=True))
            blocks = list(mono if rate == audio.samplerate else _resampled(mono, audio.samplerate, rate))
    except (OSError, soundfile.SoundFileError) as error:
        reason = "no such file" if not Path(file).exists() else f"not audio that libsndfile reads ({error})"
        raise FoldError(f"{file}: {reason}") from None
    return np.concatenate([np.zeros(0, np.float32), *blocks]), rate


def _resampled(blocks: Iterable[np.ndarray], before: int, after: int) -> Iterator[np.ndarray]:
    """The same sound at another rate, both in Hz."""
    resampler = soxr.ResampleStream(before, after, num_channels=1)
    for block in blocks:
        yield resampler.resample_chunk(block)
    yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)

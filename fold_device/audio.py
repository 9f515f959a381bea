"""Audio files as blocks of samples, so that a recording of any length takes little memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

from fold_device.errors import DeviceError

BLOCK = 1 << 15  # samples read at once


def read_blocks(file: str | Path, sample_rate: int) -> Iterator[np.ndarray]:
    """The sound of a file, channels averaged, at a sample rate in Hz: blocks of float32 in [-1, 1].

    Raises DeviceError if the file is missing or no audio, breaks off in a way its format can tell, or holds a sample
    that is not a number.
    """
    try:
        with soundfile.SoundFile(file) as audio:
            mono = _finite(_mono(audio), file, audio.samplerate)
            yield from mono if audio.samplerate == sample_rate else _resampled(mono, audio.samplerate, sample_rate)
    except (OSError, soundfile.SoundFileError, ValueError) as error:
        reason = "no such file" if not Path(file).is_file() else f"not audio that libsndfile reads ({error})"
        raise DeviceError(f"{file}: {reason}") from None


def _mono(audio: soundfile.SoundFile) -> Iterator[np.ndarray]:
    while len(block := audio.read(BLOCK, dtype="float32", always_2d=True)):
        yield block.mean(axis=1)


def _finite(blocks: Iterable[np.ndarray], file: str | Path, sample_rate: int) -> Iterator[np.ndarray]:
    begin = 0
    for block in blocks:
        if not np.isfinite(block).all():
            place = (begin + int(np.argmin(np.isfinite(block)))) / sample_rate
            raise DeviceError(f"{file}: the sample at {place:.3f} s is not a finite number")
        begin += len(block)
        yield block


def _resampled(blocks: Iterable[np.ndarray], before: int, after: int) -> Iterator[np.ndarray]:
    resampler = soxr.ResampleStream(before, after, num_channels=1)
    for block in blocks:
        yield resampler.resample_chunk(block)
    yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)

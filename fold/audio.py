"""Audio files as samples, read as on devices (`fold_device.audio`); what is refused there is a FoldError here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from fold.errors import FoldError
from fold_device import audio as device
from fold_device.audio import Audio as Audio
from fold_device.audio import Channel as Channel
from fold_device.audio import Flaw as Flaw
from fold_device.errors import DeviceError
from fold_device.mixing import Mixing as Mixing


def read_audio(file: str | Path, sample_rate: int | None = None, channel: Channel = "mix") -> Audio:
    """Reads a file of any length and number of channels: WAV, FLAC, MP3, Ogg (Vorbis, Opus), AIFF, AU, CAF.

    Args:
        file: the audio file; perhaps a pipe.
        sample_rate: the rate to resample to, in Hz; None for that of the file.
        channel: which channel; `mix` for the mean of all.

    Raises:
        FoldError: the file is missing, is no audio, lacks the channel, or holds samples that are NaN or infinite.
    """
    with _refusals():
        return device.read_audio(file, sample_rate, channel)


def read_stream(name: str | Path, stream: IO[bytes], sample_rate: int | None = None, channel: Channel = "mix") -> Audio:
    """Reads an open audio file in which one can seek; name: for messages; else as `read_audio`."""
    with _refusals():
        return device.read_stream(name, stream, sample_rate, channel)


def channel_index(file: str | Path, channel: Channel, channels: int) -> int | None:
    """The index of the wanted channel, None for the mean of all. Raises FoldError if there is none such."""
    with _refusals():
        return device.channel_index(file, channel, channels)


def fft_length(least: int) -> int:
    """A length of Fourier transforms from `least` on: one without large primes, which make them many times slower."""
    return min(base << (max(0, least - 1) // base).bit_length() for base in (4, 5, 6))


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except DeviceError as error:
        raise FoldError(str(error)) from None

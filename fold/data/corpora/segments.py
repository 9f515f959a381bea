"""Parts of long recordings."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile

from fold.audio import Audio, Channel, Flaw, Mixing, channel_index, read_audio
from fold.errors import FoldError

SEEKABLE = ("WAV", "WAVEX", "RF64", "W64", "FLAC", "AIFF", "AU", "NIST")
"""Formats in which a place is found to the sample; of others, all that comes before it is read."""
TOLERANCE = 0.05  # seconds by which lists round the end of a recording
SHORTEST, FARTHEST = 0.1, 10  # seconds of an utterance, and times those of audio: else it is in another unit
MARGIN, MARGIN_SHARE = 0.5, 0.2  # seconds, and share, by which audio that was cut out may be longer than is told
LENGTH_SHARE = 0.02  # of a recording, by which what is told of its length may be wrong


def read_segment(file: Path, start: float, seconds: float | None, channel: Channel = "mix") -> Audio:
    """Read a part of a recording at its own sample rate.

    Args:
        file: the recording.
        start: where the part begins, in seconds.
        seconds: its length; None: until the recording ends.
        channel: as in `read_audio`.

    Raises:
        FoldError: as in `read_audio`; or the recording ends before the part begins. If it ends within the part, that
            is a flaw.
    """
    audio = (_seeking(file, start, seconds, channel) if seconds else None) or _cut(file, start, seconds, channel)
    there = len(audio.samples) / audio.sample_rate
    end = "its end" if seconds is None else f"{start + seconds:.2f} s"
    reason = f"a segment from {start:.2f} s to {end} is wanted, but it ends at {start + there:.2f} s"
    if not len(audio.samples):
        raise FoldError(f"{file}: {reason}")
    if seconds is not None and there < seconds - TOLERANCE:
        return audio._replace(flaws=(*audio.flaws, Flaw(reason, 1 - there / seconds)))
    return audio


def part_fault(told: float, seconds: float, sample_rate: int) -> str:
    """Say that audio of so many seconds holds more than the part that is told of, whose length `told` is in seconds,
    milliseconds or samples, as far as it can be; "" if it does not, as where it was cut out before."""
    lengths = [told / unit for unit in (1, 1000, sample_rate)]
    possible = [length for length in lengths if SHORTEST <= length <= FARTHEST * seconds]
    if not possible or seconds <= max(possible) + max(MARGIN, MARGIN_SHARE * seconds):
        return ""
    return f"lasts {seconds:.2f} s, but a part of {told:g} is told of"


def _seeking(file: Path, start: float, seconds: float, channel: Channel) -> Audio | None:
    """The part, which alone is read; None if that cannot be done, or its header tells of too short a recording."""
    try:
        with soundfile.SoundFile(file) as sound:
            if sound.format not in SEEKABLE or not sound.seekable():
                return None
            rate = sound.samplerate
            first, number = round(start * rate), round(seconds * rate)
            if first + number > sound.frames:
                return None
            sound.seek(first)
            block = sound.read(number, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError):
        return None
    index = channel_index(file, channel, block.shape[1])
    samples = block.mean(axis=1) if index is None else block[:, index]
    if not np.isfinite(samples).all():
        raise FoldError(f"{file}: holds samples that are NaN or infinite, in a segment from {start:.2f} s on")
    mixing = Mixing(rate)
    for begin in range(0, len(block) if index is None else 0, rate):
        mixing.add(block[begin : begin + rate], samples[begin : begin + rate])
    return Audio(np.ascontiguousarray(samples), rate, tuple(mixing.flaws()))


def _cut(file: Path, start: float, seconds: float | None, channel: Channel) -> Audio:
    samples, rate, flaws = _whole(file, channel)
    first = round(start * rate)
    return Audio(samples[first:][: None if seconds is None else round(seconds * rate)], rate, flaws)


@lru_cache(maxsize=1)
def _whole(file: Path, channel: Channel) -> Audio:
    """The last recording read: lists often have its parts one after another."""
    return read_audio(file, channel=channel)

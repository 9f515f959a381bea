"""Streams of sound in pieces: long recordings at pauses, a microphone by utterance; memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

HOP_SECONDS = 0.02  # of a level
PAUSE_SECONDS = 0.3  # over which the quietest place of a long recording is sought


@dataclass(frozen=True)
class Piece:
    """Consecutive samples of a stream, (samples,) float32. start: place of the first of them in the stream."""

    start: int
    samples: np.ndarray


def cut_at_pauses(blocks: Iterable[np.ndarray], sample_rate: int, seconds: float) -> Iterator[Piece]:
    """All of a stream in pieces of at most `seconds`. One that fits is one piece; else each cut lies in the quietest
    0.3 s of the second half of what a piece may hold."""
    longest, start, held = round(seconds * sample_rate), 0, np.zeros(0, np.float32)
    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) > longest:
            place = longest // 2 + quietest(held[longest // 2 : longest], sample_rate)
            yield Piece(start, held[:place])
            start, held = start + place, held[place:]
    if len(held) or start == 0:
        yield Piece(start, held)


def quietest(samples: np.ndarray, sample_rate: int) -> int:
    """The middle of the quietest 0.3 s, the last of several."""
    levels, hop = _energies(samples, sample_rate)
    width = min(round(PAUSE_SECONDS / HOP_SECONDS), len(levels))
    if not width:
        return len(samples)
    sums = np.concatenate([[0.0], np.cumsum(levels)])
    around = sums[width:] - sums[:-width]
    last = len(around) - 1 - int(np.argmin(around[::-1]))
    return (last + width // 2) * hop


def _energies(samples: np.ndarray, sample_rate: int) -> tuple[np.ndarray, int]:
    """The mean square of each full 0.02 s, and their length in samples."""
    hop = max(round(HOP_SECONDS * sample_rate), 1)
    frames = samples[: len(samples) // hop * hop].reshape(-1, hop).astype(np.float64)
    return np.square(frames).mean(axis=1), hop


class Utterances:
    """Speech between pauses in a stream that has no end.

    Speech is what is 10 dB louder than the quietest of the last 5 s, and louder than -60 dB of full scale.

    Args:
        sample_rate: in Hz.
        pause: seconds of quiet that end an utterance.
        longest: seconds after which one is ended anyway.
    """

    AROUND = 0.2  # seconds of quiet kept before and after: as little as recordings of commands have
    FLOOR_SECONDS = 5.0

    def __init__(self, sample_rate: int, pause: float = 0.6, longest: float = 30.0) -> None:
        self.sample_rate, self.pause, self.longest = sample_rate, pause, longest

    def __call__(self, blocks: Iterable[np.ndarray]) -> Iterator[Piece]:
        hop = round(HOP_SECONDS * self.sample_rate)
        around, pause, longest = (round(s / HOP_SECONDS) for s in (self.AROUND, self.pause, self.longest))
        held: list[np.ndarray] = []  # hops of the utterance, or the last before one
        recent: list[float] = []  # levels
        quiet, spoken, place = 0, False, 0
        for samples in _hops(blocks, hop):
            level = 10 * np.log10(np.square(samples, dtype=np.float64).mean() + 1e-12)
            recent = [*recent[-round(self.FLOOR_SECONDS / HOP_SECONDS) :], float(level)]
            loud = level > max(min(recent) + 10, -60)
            held, place = [*held, samples], place + 1
            quiet, spoken = (0, True) if loud else (quiet + 1, spoken)
            if not spoken:
                held = held[-around:]
            elif quiet >= pause or len(held) >= longest:
                end = len(held) - max(quiet - around, 0)
                yield Piece((place - len(held)) * hop, np.concatenate(held[:end]))
                held, quiet, spoken = held[end:][-around:], 0, False
        if spoken:
            end = len(held) - max(quiet - around, 0)
            yield Piece((place - len(held)) * hop, np.concatenate(held[:end]))


def _hops(blocks: Iterable[np.ndarray], hop: int) -> Iterator[np.ndarray]:
    held = np.zeros(0, np.float32)
    for block in blocks:
        held = np.concatenate([held, block])
        full = len(held) // hop * hop
        yield from held[:full].reshape(-1, hop)
        held = held[full:]

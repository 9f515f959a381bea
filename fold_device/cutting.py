"""Streams of sound as the utterances between their pauses, without what holds no speech; memory stays bounded."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import NamedTuple

import numpy as np

HOP_SECONDS = 0.02  # of a level
EMPHASIS = 0.5  # takes from low frequencies, so that neither rumble nor hiss hides speech
SMOOTH_HOPS = 3  # over which levels are averaged: those of steady noise then differ by 3 dB, and not by 6
NOTHING = -80.0  # dB of full scale: what is fainter is no sound
SPEECH = 6.0  # dB by which speech is louder than the quietest around it
FLOOR_SECONDS = 5.0  # before a hop in which the quietest is sought
AROUND_SECONDS = 0.3  # kept before and after an utterance: as little as recordings of commands have
QUIET_SHARE = 0.02  # of an utterance: its quietest parts are as loud as the room
FAINT = 15.0  # dB below the room: what is kept around an utterance is not fainter
SHORTEST_SECONDS = 0.1  # of an utterance: less is a click
LULL_SECONDS = 0.3  # in which speech without pauses is cut


@dataclass(frozen=True)
class Piece:
    """Consecutive samples of a stream, (samples,) float32. start: place of the first of them in the stream."""

    start: int
    samples: np.ndarray


class _Hop(NamedTuple):
    """0.02 s of a stream, at its end perhaps less. level: in dB of full scale; loud: whether it is speech."""

    samples: np.ndarray
    level: float
    loud: bool


class Utterances:
    """Speech between pauses in a stream of any length; no sample is in two utterances.

    Speech is what is 6 dB louder than the quietest of the 5 s before it and of what is heard ahead: noise that stays
    as it is holds none, however loud. Up to 0.3 s of what is around an utterance is kept, unless it is fainter by
    15 dB than the quietest in it, as digital silence is: features normalised over an utterance would suffer from it.

    Args:
        sample_rate: in Hz.
        pause: seconds of quiet that end an utterance.
        longest: seconds of an utterance, at most; where none pauses, the quietest 0.3 s of its second half is cut.
        ahead: seconds that are heard before it is told what is speech; with 0 s a stream has to begin with quiet.
    """

    def __init__(self, sample_rate: int, pause: float = 0.3, longest: float = 30.0, ahead: float = 5.0) -> None:
        self.sample_rate, self.pause, self.longest, self.ahead = sample_rate, pause, longest, ahead
        self.hop = max(round(HOP_SECONDS * sample_rate), 1)

    def __call__(self, blocks: Iterable[np.ndarray]) -> Iterator[Piece]:
        """The utterances of a stream. blocks: of any lengths, (samples,) float32 in [-1, 1]."""
        around = round(AROUND_SECONDS / HOP_SECONDS)
        held: list[_Hop] = []  # the utterance, or what may be kept before one
        begin = quiet = 0  # the number of the first hop that is held; how many at the end are not loud
        for hop in self._judged(blocks):
            held.append(hop)
            quiet = 0 if hop.loud else quiet + 1
            if quiet == len(held):
                end = max(len(held) - around, 0)
            elif (quiet + 1) * HOP_SECONDS >= self.pause:  # a pause of 0.3 s holds 14 full hops
                end = len(held) - max(quiet - around, 0)
            elif len(held) * HOP_SECONDS >= self.longest:
                end = _lull(held)
            else:
                continue
            yield from self._utterance(held[:end], begin)
            begin, held, quiet = begin + end, held[end:], min(quiet, len(held) - end)
        yield from self._utterance(held[: len(held) - max(quiet - around, 0)], begin)

    def _utterance(self, hops: Sequence[_Hop], begin: int) -> Iterator[Piece]:
        """What was said in some hops, of which the first has the number `begin`, if anything was."""
        if not any(hop.loud for hop in hops):
            return
        spoken = [number for number, hop in enumerate(hops) if hop.loud]
        room = float(np.quantile([hop.level for hop in hops[spoken[0] : spoken[-1] + 1]], QUIET_SHARE))
        heard = [number for number, hop in enumerate(hops) if hop.level >= room - FAINT]
        samples = np.concatenate([hop.samples for hop in hops[heard[0] : heard[-1] + 1]])
        if len(samples) >= SHORTEST_SECONDS * self.sample_rate:
            yield Piece((begin + heard[0]) * self.hop, samples)

    def _judged(self, blocks: Iterable[np.ndarray]) -> Iterator[_Hop]:
        before, ahead = (round(seconds / HOP_SECONDS) for seconds in (FLOOR_SECONDS, self.ahead))
        recent: deque[float] = deque(maxlen=SMOOTH_HOPS)
        waiting: deque[tuple[np.ndarray, float, float]] = deque()
        floors: deque[tuple[int, float]] = deque()  # rising: each the least from its hop on
        end = repeat((np.zeros(0, np.float32), math.inf), ahead)
        for number, (samples, energy) in enumerate(chain(_hops(blocks, self.hop), end)):
            recent.append(energy)
            smooth = _decibels(sum(recent) / len(recent))
            waiting.append((samples, _decibels(energy), smooth))
            if len(recent) == SMOOTH_HOPS and _decibels(min(recent)) > NOTHING:
                while floors and floors[-1][1] >= smooth:
                    floors.pop()
                floors.append((number, smooth))
            while floors and floors[0][0] < number - ahead - before:
                floors.popleft()
            if number >= ahead:
                samples, level, smooth = waiting.popleft()
                yield _Hop(samples, level, bool(floors) and min(level, smooth) >= floors[0][1] + SPEECH)


def _hops(blocks: Iterable[np.ndarray], hop: int) -> Iterator[tuple[np.ndarray, float]]:
    """A stream in hops of as many samples, the last perhaps of fewer, with their mean squares."""
    held = np.zeros(0, np.float32)
    for block in blocks:
        held = np.concatenate([held, block])
        full = len(held) // hop * hop
        yield from _measured(held[:full].reshape(-1, hop))
        held = held[full:]
    if len(held):
        yield from _measured(held[None])


def _measured(hops: np.ndarray) -> Iterator[tuple[np.ndarray, float]]:
    """hops: (hops, samples)."""
    centred = hops - hops.mean(axis=1, keepdims=True, dtype=np.float64)
    emphasised = centred[:, 1:] - EMPHASIS * centred[:, :-1]
    return zip(hops, (np.square(emphasised).sum(axis=1) / hops.shape[1]).tolist(), strict=True)


def _decibels(energy: float) -> float:
    return 10 * math.log10(energy + 1e-12)


def _lull(hops: Sequence[_Hop]) -> int:
    """Where to cut in the second half of some hops: the middle of the quietest 0.3 s, the last of several."""
    levels = np.array([hop.level for hop in hops[len(hops) // 2 :]])
    width = min(round(LULL_SECONDS / HOP_SECONDS), len(levels))
    sums = np.convolve(levels, np.ones(width), "valid")
    return len(hops) // 2 + len(sums) - 1 - int(np.argmin(sums[::-1])) + width // 2

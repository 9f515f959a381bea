"""Streams are cut where it is quiet, and nothing of them is lost."""

from itertools import pairwise

import numpy as np
import pytest

from fold_device.cutting import Utterances, cut_at_pauses

RATE = 8000


def blocks(samples: np.ndarray, size: int) -> list[np.ndarray]:
    return [samples[begin : begin + size] for begin in range(0, len(samples), size)]


def tone(seconds: float) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def noise(seconds: float, level: float) -> np.ndarray:
    return np.random.default_rng(1).normal(scale=level, size=round(seconds * RATE)).astype(np.float32)


@pytest.mark.parametrize("size", [7, 1000, 100000])
@pytest.mark.parametrize("seconds", [0.0, 0.01, 1.0, 1.1, 7.3])
def test_pieces_are_the_whole(size: int, seconds: float) -> None:
    samples = noise(seconds, 0.1)
    pieces = list(cut_at_pauses(blocks(samples, size), RATE, 1.0))
    assert [piece.start for piece in pieces] == list(np.cumsum([0, *(len(p.samples) for p in pieces[:-1])]))
    assert np.array_equal(np.concatenate([piece.samples for piece in pieces]), samples)
    assert all(len(piece.samples) <= RATE for piece in pieces)
    assert len(pieces) == 1 or seconds > 1.0


def test_a_cut_lies_in_a_pause() -> None:
    samples = np.concatenate([np.concatenate([tone(1.2), noise(0.5, 0.001)]) for _ in range(10)])
    starts = [piece.start / RATE for piece in cut_at_pauses(blocks(samples, 1000), RATE, 5.0)][1:]
    assert len(starts) >= 3
    assert all(1.2 < start % 1.7 < 1.7 for start in starts)


def test_where_to_cut_does_not_depend_on_the_blocks() -> None:
    samples = noise(20.0, 0.1)
    found = [[p.start for p in cut_at_pauses(blocks(samples, size), RATE, 3.0)] for size in (13, 4096, len(samples))]
    assert found[0] == found[1] == found[2]


def test_utterances_lie_between_pauses() -> None:
    quiet = noise(1.5, 0.001)
    samples = np.concatenate([quiet, tone(1.0), quiet, tone(0.5), noise(0.3, 0.001), tone(0.5), quiet])
    found = list(Utterances(RATE)(blocks(samples, 800)))
    ends = [(p.start / RATE, (p.start + len(p.samples)) / RATE) for p in found]
    assert len(ends) == 2  # a pause of 0.3 s ends none
    for (begin, end), (first, last) in zip(ends, [(1.5, 2.5), (4.0, 5.3)], strict=True):
        assert first - 0.25 <= begin <= first
        assert last <= end <= last + 0.25
    for piece in found:
        assert np.array_equal(piece.samples, samples[piece.start : piece.start + len(piece.samples)])


def test_silence_is_no_utterance() -> None:
    for level in (0.0, 1e-4, 0.05):
        assert list(Utterances(RATE)(blocks(noise(10.0, level), 800))) == []


def test_speech_without_a_pause_is_ended_all_the_same() -> None:
    samples = np.concatenate([noise(1.0, 0.001), *[np.concatenate([tone(0.3), noise(0.1, 0.001)])] * 25])
    found = list(Utterances(RATE, longest=3.0)(blocks(samples, 800)))
    assert max(len(piece.samples) for piece in found) <= 3 * RATE
    assert sum(len(piece.samples) for piece in found) >= 9.9 * RATE
    assert all(after.start >= before.start + len(before.samples) for before, after in pairwise(found))

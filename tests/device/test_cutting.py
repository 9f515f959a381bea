"""Streams are cut into what is said between pauses: no speech is lost or said twice, and noise is no speech."""

import math
import tracemalloc
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from fold.data.corpora.augment import hum, pink, white
from fold_device.cutting import Piece, Utterances

RATE = 8000
Noise = Callable[[int, int, np.random.Generator], np.ndarray]


def blocks(samples: np.ndarray, size: int) -> list[np.ndarray]:
    return [samples[begin : begin + size] for begin in range(0, len(samples), size)]


def voice(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise that swells and fades as syllables do, from -20 dB to -60 dB, every other one loud."""
    random = np.random.default_rng(seed)
    syllables = random.uniform(0.001, 0.1, size=max(math.ceil(seconds / 0.1), 1))
    syllables[::2] = syllables[-1] = 0.1
    loudness = np.repeat(syllables, RATE // 10)[: round(seconds * RATE)]
    return (loudness * random.standard_normal(len(loudness))).astype(np.float32)


def noise(seconds: float, level: float, kind: Noise = white, seed: int = 1) -> np.ndarray:
    """level: in dB of full scale."""
    sound = kind(round(seconds * RATE), RATE, np.random.default_rng(seed))
    return (sound / np.sqrt(np.mean(np.square(sound))) * 10 ** (level / 20)).astype(np.float32)


def cut(samples: np.ndarray, size: int = 4096, **settings: float) -> list[Piece]:
    """The utterances of a recording, after checking that they are its samples, in order, none of them in two."""
    pieces = list(Utterances(RATE, **settings)(blocks(samples, size)))
    for piece in pieces:
        assert np.array_equal(piece.samples, samples[piece.start : piece.start + len(piece.samples)])
    assert all(before.start + len(before.samples) <= after.start for before, after in pairwise(pieces))
    return pieces


@pytest.mark.parametrize("room", [-70.0, -120.0, None])
@pytest.mark.parametrize("seed", range(10))
def test_sentences_are_cut_in_their_pauses_and_nowhere_else(seed: int, room: float | None) -> None:
    """room: dB of the noise between them, None for digital silence."""
    random, hop = np.random.default_rng(seed), 0.02 * RATE
    parts, spoken, place = [], [], 0
    for number in range(12):
        sentence = voice(random.uniform(0.5, 4), seed=100 * seed + number)
        pause = np.zeros(round(random.uniform(0.3, 1.5) * RATE), np.float32)
        if room is not None:
            pause += noise(len(pause) / RATE, room, seed=number)
        spoken.append((place, place + len(sentence)))
        place += len(sentence) + len(pause)
        parts += [sentence, pause]
    pieces = cut(np.concatenate(parts))
    assert len(pieces) == len(spoken)
    for piece, (begin, end), (following, _) in zip(pieces, spoken, [*spoken[1:], (place, place)], strict=True):
        assert begin - 0.32 * RATE <= piece.start <= begin + hop
        assert end - hop <= piece.start + len(piece.samples) <= min(end + 0.34 * RATE, following + hop)


def test_a_recording_of_one_sentence_is_left_as_it_is() -> None:
    samples = noise(3.0, -60)
    samples[RATE // 5 : -RATE // 5] += voice(2.6)
    [piece] = cut(samples)
    assert (piece.start, len(piece.samples)) == (0, len(samples))


def test_speech_that_begins_and_ends_with_the_recording_is_whole() -> None:
    [piece] = cut(np.concatenate([voice(1.0, 3), noise(0.1, -70), voice(1.0, 4)]))
    assert len(piece.samples) == 2.1 * RATE


@pytest.mark.parametrize("settings", [{}, {"pause": 0.6, "ahead": 0.0}, {"longest": 1.0}], ids=str)
def test_what_is_cut_does_not_depend_on_the_blocks(settings: dict[str, float]) -> None:
    parts = [np.concatenate([noise(0.5, -60), voice(2.3, seed)]) for seed in range(8)]
    samples = np.concatenate([*parts, noise(0.5, -60)])
    found = [[(p.start, len(p.samples)) for p in cut(samples, size, **settings)] for size in (13, 4096, len(samples))]
    assert found[0] == found[1] == found[2]
    assert len(found[0]) >= (1 if settings.get("pause") else 8)


@pytest.mark.parametrize("kind", [white, pink, hum])
@pytest.mark.parametrize("level", [-100, -60, -40, -20])
@pytest.mark.parametrize("ahead", [0.0, 5.0])
def test_noise_that_stays_as_it_is_is_no_speech(kind: Noise, level: float, ahead: float) -> None:
    for seed in range(5):
        for seconds in (0.05, 0.3, 2.0, 30.0):
            assert cut(noise(seconds, level, kind, seed), ahead=ahead) == []


def test_silence_and_clicks_are_no_speech() -> None:
    assert cut(np.zeros(0, np.float32)) == cut(np.zeros(1, np.float32)) == cut(np.zeros(60 * RATE, np.float32)) == []
    clicks = noise(10.0, -60)
    clicks[RATE :: 2 * RATE] = 0.9
    assert cut(clicks) == []
    assert cut(np.concatenate([np.zeros(RATE, np.float32), noise(5.0, -50), np.zeros(RATE, np.float32)])) == []


def test_silence_around_speech_is_left_out() -> None:
    sentence = noise(3.0, -50)
    sentence[RATE // 4 : -RATE // 4] += voice(2.5, 5)
    silence = np.zeros(2 * RATE, np.float32)
    [piece] = cut(np.concatenate([silence, sentence, silence]))
    assert 0 <= piece.start - len(silence) <= 0.1 * RATE
    assert len(sentence) - 0.2 * RATE <= len(piece.samples) <= len(sentence)


def test_a_microphone_is_cut_as_it_goes() -> None:
    """An utterance is there when its pause has ended it, and not later."""
    samples = np.concatenate([noise(1.5, -60), voice(1.0), noise(0.6, -60)])
    begun = Utterances(RATE, pause=0.6, ahead=0.0)(iter(blocks(samples, RATE // 50)))
    assert 1.2 * RATE <= next(begun).start <= 1.6 * RATE


def test_speech_without_a_pause_is_cut_where_it_is_quietest() -> None:
    dips = [np.concatenate([voice(0.9, seed), noise(0.2, -65, seed=seed)]) for seed in range(30)]
    samples = np.concatenate(dips)
    pieces = cut(samples, longest=5.0)
    assert sum(len(piece.samples) for piece in pieces) >= len(samples) - 0.2 * RATE
    assert all(2.5 * RATE <= len(piece.samples) <= 5 * RATE for piece in pieces[:-1])
    assert all(piece.start / RATE % 1.1 >= 0.85 for piece in pieces[1:])


def test_a_long_recording_takes_the_memory_of_half_a_minute() -> None:
    minute = np.concatenate([noise(1.0, -60), *[voice(0.9, seed) for seed in range(60)], noise(5.0, -60)])
    tracemalloc.start()
    pieces = [len(p.samples) for p in Utterances(RATE)(part for _ in range(8) for part in blocks(minute, RATE))]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(pieces) >= 8 * 53.9 * RATE
    assert max(pieces) <= 30 * RATE
    assert peak < 15e6  # 30 s are 1 MB, the 8 minutes 15 MB

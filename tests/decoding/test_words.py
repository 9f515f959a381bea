"""Words, their times and confidences."""

from __future__ import annotations

import math
import random

import pytest
import torch
import torchaudio
from torch import Tensor

from fold.decoding.cutting import frame_times
from fold.decoding.greedy import ctc_greedy
from fold.decoding.words import FrameTimes, _spans, words
from fold.errors import FoldError
from fold.models import Architecture, Conformer, Foundation
from fold.text.units import CharUnits, SentencePieceUnits, Units

CHARACTERS = CharUnits(" abc")  # 2 is the space, 3 to 5 the letters
PIECES = SentencePieceUnits.train(["tea at the tent", "heat it", "no tea"] * 9, 14)
TIMES = FrameTimes(first=400, hop=160, sample_rate=16_000)


def log_probs_of(frames: list[int], num_units: int, confidence: float = 0.9) -> Tensor:
    """Log-probabilities whose best unit in each frame is the given one, with that probability."""
    rest = math.log((1 - confidence) / (num_units - 1))
    log_probs = torch.full((len(frames), num_units), rest)
    log_probs[torch.arange(len(frames)), torch.tensor(frames)] = math.log(confidence)
    return log_probs


def test_a_word_spans_its_units() -> None:
    frames = [0, 0, 3, 3, 0, 4, 2, 2, 0, 5, 0]  # "ab c"
    first, second = words([3, 4, 2, 5], log_probs_of(frames, len(CHARACTERS)), CHARACTERS, TIMES)
    assert (first.text, second.text) == ("ab", "c")
    before = (400 - 160) / 2 / 16_000  # where frame 0 begins
    assert (first.start, first.end) == pytest.approx((before + 0.02, before + 0.06))
    assert (second.start, second.end) == pytest.approx((before + 0.09, before + 0.10))
    assert first.confidence == pytest.approx(0.9)


def test_confidence_is_the_mean_of_the_units() -> None:
    log_probs = log_probs_of([3, 0, 4], len(CHARACTERS), 0.9)
    log_probs[2] = log_probs_of([4], len(CHARACTERS), 0.4)
    [word] = words([3, 4], log_probs, CHARACTERS, TIMES)
    assert word.confidence == pytest.approx(math.sqrt(0.9 * 0.4))


@pytest.mark.parametrize("units", [CHARACTERS, PIECES], ids=["characters", "pieces"])
def test_words_are_those_of_the_text_in_order_of_time(units: Units) -> None:
    generator = random.Random(0)
    for _ in range(50):
        frames = [generator.choice([0, 0, *range(1, len(units) - 1)]) for _ in range(generator.randint(1, 40))]
        log_probs = log_probs_of(frames, len(units))
        [ids] = ctc_greedy(log_probs[None], torch.tensor([len(frames)]))
        found = words(ids, log_probs, units, TIMES)
        assert [word.text for word in found] == units.decode(ids).split()
        edges = [edge for word in found for edge in (word.start, word.end)]
        assert edges == sorted(edges)
        assert all(0 < word.confidence <= 1 for word in found)


def test_what_greedy_decoding_found_needs_no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search takes memory for frames times units, which an hour of speech has too many of; the result is the same."""
    log_probs = torch.randn(300, len(CHARACTERS), generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    [ids] = ctc_greedy(log_probs[None], torch.tensor([300]))
    alignment, scores = torchaudio.functional.forced_align(log_probs[None], torch.tensor([ids], dtype=torch.int32))
    searched = torchaudio.functional.merge_tokens(alignment[0], scores[0])

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("searched")

    monkeypatch.setattr(torchaudio.functional, "forced_align", refuse)
    spans = _spans(ids, log_probs)
    assert [(frames.start, frames.stop) for frames, _ in spans] == [(token.start, token.end) for token in searched]
    assert [score for _, score in spans] == pytest.approx([token.score for token in searched])
    with pytest.raises(AssertionError, match="searched"):
        _spans(ids[1:], log_probs)  # as a beam search may find


def test_a_transcript_that_the_frames_cannot_hold_has_no_times() -> None:
    with pytest.raises(FoldError, match="no times for a transcript of 3 units: CTC has only 2 frames"):
        words([3, 4, 5], log_probs_of([3, 4], len(CHARACTERS)), CHARACTERS, TIMES)
    assert words([], log_probs_of([0], len(CHARACTERS)), CHARACTERS, TIMES) == []


@pytest.mark.parametrize(
    ("network", "hop"), [(Conformer(), 0.04), (Foundation(shape="WAV2VEC2_BASE"), 0.02)], ids=["conformer", "wav2vec2"]
)
def test_frames_follow_the_sound(network: Architecture, hop: float) -> None:
    times = frame_times(network, 16_000)
    assert times.hop == round(hop * 16_000)
    frames = network.num_frames(160_000, 16_000)
    begin, end = times.span(range(frames))
    assert begin >= 0
    assert end == pytest.approx(10.0, abs=2 * hop)

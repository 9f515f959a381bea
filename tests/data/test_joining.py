"""Joined utterances: nothing is lost or said twice, and everybody joins alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fold.data.batching import Example
from fold.data.joining import Joiner, Joining
from fold.errors import FoldError
from fold.losses import ctc_fits
from fold.text.units import CharUnits

RATE, UNITS = 8000, CharUnits(" abcdefgh")


def example(number: int, seconds: float = 1.0) -> Example:
    generator, text = np.random.default_rng(number), "abcdefgh"[number % 8]
    samples = torch.from_numpy(generator.normal(scale=0.1, size=round(seconds * RATE)).astype(np.float32))
    return Example(f"u-{number}", text, samples, torch.tensor(UNITS.encode(text)), "train")


def joiner(seed: int = 1, **settings: float) -> Joiner:
    return Joiner(replace(Joining(share=1.0), **settings), RATE, UNITS, None, seed)


def test_every_utterance_is_said_once_and_in_order() -> None:
    for size in range(2, 12):
        examples = [example(number) for number in range(size)]
        found = joiner(size)(examples)
        assert len(found) < size
        assert [id for one in found for id in one.id.split("+")] == [one.id for one in examples]
        assert " ".join(one.text for one in found) == " ".join(one.text for one in examples)
        assert all(one.units.tolist() == UNITS.encode(one.text) for one in found)


def test_a_script_without_spaces_gets_none() -> None:
    units = CharUnits("你好世界")
    said = [(text, torch.tensor(units.encode(text))) for text in ("你好", "世界")]
    pair = [Example(text, text, torch.ones(RATE), encoded) for text, encoded in said]
    [joined] = Joiner(Joining(share=1.0), RATE, units, None, 1)(pair)
    assert joined.text == "你好世界"
    assert joined.units.tolist() == units.encode("你好世界") and units.unk not in joined.units


def test_words_whose_units_have_no_space_stay_apart() -> None:
    """A space would be an unknown unit, which would be learned."""
    units = CharUnits("noyes")
    said = [(text, torch.tensor(units.encode(text))) for text in ("yes", "no")]
    pair = [Example(text, text, torch.ones(RATE), encoded) for text, encoded in said]
    assert Joiner(Joining(share=1.0), RATE, units, None, 1)(pair) == pair


def test_the_sound_is_that_of_each_with_pauses_between() -> None:
    first, second = example(0), example(1)
    [joined] = joiner(shortest_pause=0.3, longest_pause=0.5)([first, second])
    pause = (len(joined.waveform) - len(first.waveform) - len(second.waveform)) / RATE
    assert 0.3 <= pause <= 0.5
    for piece, whole in ((joined.waveform[:RATE], first.waveform), (joined.waveform[-RATE:], second.waveform)):
        gain = piece / whole
        assert gain.std() < 1e-3
        assert -6.001 <= 20 * np.log10(float(gain.mean())) <= 0.001
    noise = joined.waveform[RATE:-RATE]
    assert 0 < noise.std() < first.waveform.std()


def test_everybody_joins_alike_and_seeds_differ() -> None:
    examples = [example(number) for number in range(8)]
    once, again, other = (joiner(seed)(examples) for seed in (1, 1, 2))
    assert [one.id for one in once] == [one.id for one in again]
    assert all(torch.equal(a.waveform, b.waveform) for a, b in zip(once, again, strict=True))
    assert [len(one.waveform) for one in other] != [len(one.waveform) for one in once]


def test_the_share_is_of_the_batches() -> None:
    batches = [[example(number), example(number + 1)] for number in range(400)]
    joined = sum(len(joiner(share=0.25)(batch)) == 1 for batch in batches)
    assert abs(joined - 100) < 5 * 75**0.5
    assert all(len(joiner(share=0.0)(batch)) == 2 for batch in batches)


def test_what_would_become_too_long_stays_apart() -> None:
    examples = [example(number, seconds=3.0) for number in range(2)]
    assert joiner(max_seconds=5.0)(examples) == examples
    assert len(joiner(max_seconds=0.0)(examples)) == 1


def test_what_the_frames_could_not_hold_stays_apart() -> None:
    """Together they need a frame for the space between them, which neither had to spare."""
    tight = Joiner(
        Joining(share=1.0, shortest_pause=0.0, longest_pause=0.0),
        RATE,
        UNITS,
        lambda units, samples: ctc_fits(units, samples // RATE),
        random_seed=1,
    )
    examples = [example(0), example(1)]
    assert tight(examples) == examples


def test_a_single_utterance_and_an_empty_batch_stay() -> None:
    assert joiner()([]) == []
    [only] = joiner()([one := example(0)])
    assert only is one


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"share": 1.5}, "share is 1.5"),
        ({"most": 1}, "most is 1"),
        ({"shortest_pause": 2.0}, "pauses of 2.0 to 1.0 s"),
        ({"level_range": -1.0}, "must not be negative"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, float], said: str) -> None:
    with pytest.raises(FoldError, match=said):
        Joining(**settings)

"""Units to text exactly as fold does it, and to words."""

import itertools

import numpy as np
import pytest
import torch

import fold.text.units
from fold.decoding.greedy import ctc_greedy
from fold.export.onnx.description import describe_units
from fold.text.normalise import Normaliser
from fold.text.units import CharUnits, SentencePieceUnits
from fold_device.words import Symbol, Units, best_path

TEXTS = ["turn the light on", "turn it off", "what is the time", "light the light"] * 3


def random_log_probs(num_units: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    logits = random.normal(size=(60, num_units)).repeat(random.integers(1, 4), axis=0)
    return (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)


@pytest.mark.parametrize(
    "units",
    [
        CharUnits.train(TEXTS, Normaliser()),
        CharUnits(["t", "tʃ", "eʊ"], Normaliser(), separator=" "),
        SentencePieceUnits.train(TEXTS, 23, Normaliser()),
    ],
    ids=["characters", "phonemes", "sentencepiece"],
)
def test_text_is_that_of_fold(units: fold.text.units.Units) -> None:
    known = describe_units(units)
    ours = Units(known["units"], known["joiner"])
    assert len(ours) == len(units)
    for seed in range(50):
        log_probs = random_log_probs(len(units), seed)
        [expected] = ctc_greedy(torch.from_numpy(log_probs)[None], torch.tensor([len(log_probs)]))
        symbols = best_path(log_probs)
        assert [symbol.unit for symbol in symbols] == expected
        assert ours.text(symbols) == units.decode(expected)
        assert [word.text for word in ours.words(symbols, 0.04)] == units.decode(expected).split()
        assert all(log_probs[s.first : s.last + 1, s.unit].max() == pytest.approx(s.log_prob) for s in symbols)


def test_no_frames_are_no_symbols() -> None:
    assert best_path(np.zeros((0, 5), np.float32)) == []


@pytest.mark.parametrize(
    ("joiner", "texts", "units", "expected"),
    [
        ("characters", ["<blank>", " ", "a", "b"], [2, 1, 1, 3, 2], ["a", "ba"]),
        ("characters", ["<blank>", " ", "a", "b"], [1, 2, 1], ["a"]),
        ("sentencepiece", ["<blank>", "▁", "▁a", "b"], [2, 3, 1, 3, 2], ["ab", "b", "a"]),
        ("characters", ["<blank>", "⁇", "a", "<sos/eos>"], [2, 1, 3], ["a⁇"]),
    ],
)
def test_units_make_words(joiner: str, texts: list[str], units: list[int], expected: list[str]) -> None:
    symbols = [Symbol(unit, 2 * place, 2 * place + 1, -0.5) for place, unit in enumerate(units)]
    found = Units(texts, joiner).words(symbols, 0.04, offset=10.0)
    assert [word.text for word in found] == expected
    assert " ".join(expected) == " ".join(Units(texts, joiner).text(symbols).split())
    assert all(word.confidence == pytest.approx(np.exp(-0.5)) for word in found)
    assert all(10 <= before.start < before.end <= after.start for before, after in itertools.pairwise(found))


@pytest.mark.parametrize("units", [CharUnits(" ab"), CharUnits("你好"), CharUnits("กขค"), CharUnits("noyes")])
def test_texts_that_follow_one_another_are_joined_as_by_fold(units: fold.text.units.Units) -> None:
    described = Units(units.symbols, "characters")
    texts = [units.characters[-1], "", units.characters[-2]]
    assert described.joined(texts) == units.joined(texts)

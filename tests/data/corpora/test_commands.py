from pathlib import Path

import numpy as np
import pytest

from fold.data.corpora import SPLITS, Commands
from fold.data.corpora.base import generator
from fold.data.corpora.grammar import RULES, vocabulary
from fold.data.corpora.speaker import speak, speak_word_by_word
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


def test_parts_of_commands_are_a_few_words_of_training_only():
    parts, whole = Commands(hours=0.5, parts=0.4, dev_utterances=40), Commands(hours=0.5, dev_utterances=40)
    recipes, others = parts.recipes("train", None), whole.recipes("train", None)
    changed = [recipe for recipe, other in zip(recipes, others, strict=True) if recipe != other]
    assert 0.3 < len(changed) / len(recipes) < 0.5
    assert {len(recipe.text.split()) for recipe in changed} == set(range(1, 8))
    digits = [recipe for recipe in changed if set(recipe.text.split()) <= set(RULES["digit"])]
    assert 0.4 < len(digits) / len(changed) < 0.75  # half, and words of commands that happen to be digits
    assert {word for recipe in changed for word in recipe.text.split()} <= set(vocabulary())
    for split in ("dev", "test"):
        assert parts.recipes(split, None) == whole.recipes(split, None)
        assert not {recipe.text for recipe in changed} & {recipe.text for recipe in parts.recipes(split, None)}
    heard, other = (corpus.render(corpus.recipes("dev", None)[0], None).samples for corpus in (parts, whole))
    assert np.array_equal(heard, other)


def test_half_of_the_parts_are_said_word_by_word():
    """Silence, which fluent speech does not have, lies between words in a quarter of them; noise around the words of
    another quarter."""
    corpus = Commands(hours=0.5, parts=1.0)
    quiet = []
    for recipe in [recipe for recipe in corpus.recipes("train", None) if len(recipe.text.split()) == 4][:40]:
        samples = speak_word_by_word(recipe, generator(recipe.id))[0]
        runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[1], samples != 0, [1]]).astype(int))))[::2]
        quiet.append(sum(runs >= 0.02 * 22050))  # espeak's own rate
    assert min(quiet) >= 3
    lengths = [len(corpus.render(recipe, None).samples) for recipe in corpus.recipes("train", None)[:60]]
    fluent = [len(speak(recipe, generator(recipe.id))[0]) for recipe in corpus.recipes("train", None)[:60]]
    longer = np.array(lengths) / np.array(fluent)
    assert 0.2 < np.mean(longer > 1.5) < 0.8


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(FoldError, match=r"data\.corpus\.parts is .*: expected a share, 0 to 1"):
        Commands(parts=share)

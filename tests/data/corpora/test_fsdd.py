import itertools
import re
from collections import Counter

import numpy as np
import pytest
import soundfile

from fold.data.corpora import FSDD, SPLITS
from fold.errors import FoldError

CORPUS = FSDD(train_strings=120, dev_strings=40, test_strings=40)
SPEAKERS = ("anna", "ben")
LENGTH = 400


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Every recording has a level of its own, so that a joined string shows what it is made of."""
    root = tmp_path_factory.mktemp("fsdd")
    (root / "recordings").mkdir()
    names = itertools.product(range(10), SPEAKERS, range(14))
    for number, (digit, speaker, index) in enumerate(names, 1):
        samples = number * 100 * (-1) ** np.arange(LENGTH, dtype=np.int16)
        soundfile.write(root / "recordings" / f"{digit}_{speaker}_{index}.wav", samples, 8000)
    return root


def test_recordings_are_split_by_index(root):
    indices = {"train": set(range(10, 14)), "dev": set(range(5, 10)), "test": set(range(5))}
    for split in SPLITS:
        files = [file for recipe in CORPUS.recipes(split, root) for file in recipe.files]
        assert {int(re.search(r"_(\d+)\.wav", file)[1]) for file in files} == indices[split]


def test_strings_have_two_to_seven_digits_of_one_speaker(root):
    recipes = CORPUS.recipes("train", root)
    assert {len(recipe.files) for recipe in recipes} == set(range(2, 8))
    assert all({file.split("_")[1] for file in recipe.files} == {recipe.speaker} for recipe in recipes)
    assert {recipe.speaker for recipe in recipes} == set(SPEAKERS)


def test_recordings_are_used_equally_often(root):
    for split in SPLITS:
        recipes = CORPUS.recipes(split, root)
        for speaker in SPEAKERS:
            uses = Counter(file for recipe in recipes if recipe.speaker == speaker for file in recipe.files)
            assert max(uses.values()) - min(uses.values()) <= 1


def test_sound_and_text_follow_the_files(root):
    words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    recipe = CORPUS.recipes("test", root)[0]
    utterance = CORPUS.render(recipe, root)
    assert utterance.sample_rate == 8000
    assert utterance.text.split() == [words[int(file[0])] for file in recipe.files]
    # Pauses are fainter than the quietest recording (100 / 32768).
    spoken = utterance.samples[np.abs(utterance.samples) > 0.0029]
    expected = [soundfile.read(root / "recordings" / file, dtype="float32")[0] for file in recipe.files]
    np.testing.assert_array_equal(spoken, np.concatenate(expected))
    pauses = len(utterance.samples) - len(spoken)
    assert 0.02 * 8000 * (len(expected) + 1) <= pauses <= 0.2 * 8000 * (len(expected) + 1)
    assert np.count_nonzero(utterance.samples) == len(utterance.samples)


def test_rendering_is_repeatable(root):
    recipe = CORPUS.recipes("dev", root)[3]
    np.testing.assert_array_equal(CORPUS.render(recipe, root).samples, CORPUS.render(recipe, root).samples)


def test_a_wrong_root_shows_the_layout(tmp_path):
    for root in (tmp_path, tmp_path / "missing"):
        with pytest.raises(FoldError, match=r"recordings/7_jackson_3.wav"):
            CORPUS.locate(root, tmp_path)


def test_a_misnamed_recording_is_named(tmp_path):
    (tmp_path / "recordings").mkdir()
    (tmp_path / "recordings" / "seven.wav").touch()
    with pytest.raises(FoldError, match=r"seven.wav is not named"):
        CORPUS.recipes("train", tmp_path)

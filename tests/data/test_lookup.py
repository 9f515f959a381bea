"""Recordings of a prepared corpus are found by the ids of their utterances."""

from pathlib import Path

import numpy as np
from tones import SAMPLE_RATE, Tones

from fold.data.lookup import find_recordings


def test_recordings_are_found_among_several_corpora(tones_shards: Path, tmp_path: Path) -> None:
    [prepared] = [folder for folder in tones_shards.iterdir() if (folder / "index.json").exists()]
    (tmp_path / prepared.name).symlink_to(prepared)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "index.json").write_text("{")
    corpus = Tones()
    recipes = list(corpus.recipes("test", None))[:3]
    ids = [recipe.id for recipe in recipes]
    for folder in (tmp_path, prepared):
        found = find_recordings(folder, corpus.name, "test", [*ids, "nobody"])
        assert sorted(found) == sorted(ids)
        for recipe in recipes:
            samples, rate = found[recipe.id]
            expected = corpus.render(recipe, None).samples
            assert rate == SAMPLE_RATE and np.allclose(samples, expected, atol=1e-3)
    assert find_recordings(tmp_path, "Others", "test", ids) == {}
    assert find_recordings(tmp_path, corpus.name, "dev", ids) == {}
    assert find_recordings(tmp_path / "nowhere", corpus.name, "test", ids) == {}

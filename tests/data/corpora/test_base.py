from fold.data.corpora import FSDD, Commands
from fold.data.corpora.base import generator, shuffled


def test_generators_depend_on_their_key_alone():
    assert generator(1, "a").integers(1 << 60) == generator(1, "a").integers(1 << 60)
    draws = {int(generator(*key).integers(1 << 60)) for key in [(1, "a"), (2, "a"), (1, "b"), (1, "a", 0), ()]}
    assert len(draws) == 5


def test_shuffling_keeps_every_recipe_once():
    recipes = list(range(100))
    assert sorted(shuffled(recipes, 1)) == recipes
    assert shuffled(recipes, 1) == shuffled(recipes, 1) != shuffled(recipes, 2)
    assert shuffled(recipes, 1) != recipes


def test_descriptions_tell_settings_apart():
    assert Commands().describe() == {
        "class": "Commands",
        "settings": {"hours": 2.0, "dev_utterances": 300, "test_utterances": 600, "seed": 1},
    }
    assert Commands(random_seed=2).describe() != Commands().describe()
    assert Commands(parts=0.5).describe()["settings"]["parts"] == 0.5  # added later: it must not change the default's
    assert FSDD().describe() != Commands().describe()

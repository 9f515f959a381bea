"""Settings of older versions are known by their names of today."""

from pathlib import Path

import pytest
from report.records import make_record

from fold.errors import FoldError
from fold.report.compare.systems import group
from fold.settings import ADDED, current_names, differences
from fold.training.run_folder import check_same_run


def settings(seed: int, dim: int = 8) -> dict:
    return {
        "random_seed": seed,
        "model": {"random_seed": seed, "network": {"class_path": "A", "init_args": {"dim": dim, "seed": 3}}},
        "data": {
            "random_seed": seed,
            "corpus": {"class_path": "B", "init_args": {"random_seed": 1}},
            "text": {**ADDED["data.text"], "tags": "keep"},
        },
    }


def former(seed: int, dim: int = 8) -> dict:
    return {
        "seed_everything": seed,
        "model": {"seed": seed, "network": {"class_path": "A", "init_args": {"dim": dim, "seed": 3}}},
        "data": {"seed": seed, "corpus": {"class_path": "B", "init_args": {"seed": 1}}},
    }


def test_former_names_become_those_of_today_and_no_others_change() -> None:
    assert current_names(former(2)) == settings(2) == current_names(settings(2))
    assert differences(current_names(former(2)), settings(2)) == []


def test_a_run_of_an_older_version_goes_on() -> None:
    check_same_run(Path("run"), former(2), settings(2), (), allow_changes=False)
    with pytest.raises(FoldError, match="random_seed: 2 -> 3"):
        check_same_run(Path("run"), former(2), settings(3), (), allow_changes=False)


def test_records_of_older_and_newer_versions_are_runs_of_one_system() -> None:
    runs = [make_record({2: 0.1}, seed=seed, settings=of(seed)) for seed, of in ((1, former), (2, settings))]
    for run in runs[1:]:
        run.settings.pop("seed_everything", None)
    [system] = group(runs, [None] * 2)
    assert len(system.records) == 2
    other = make_record({2: 0.1}, seed=3, settings=settings(3, dim=16))
    other.settings.pop("seed_everything", None)
    assert len(group([*runs, other], [None] * 3)) == 2


def test_the_method_of_an_older_version_is_todays_where_it_did_the_same() -> None:
    network = {"class_path": "fold.models.Conformer", "init_args": {"dim": 8}}
    ramp = {"weight": 1.0, "start": 0.0, "end": 0.0}
    before = {
        "model": {
            "network": network,
            "num_sampled_paths": 2,
            "growth": {"alone": 0.1, "grown": 0.5},
            "objective": {"seed": ramp, "distillation": {**ramp, "weight": 0.1}, "distil_where": "everywhere"},
        }
    }
    now = {
        "model": {
            "network": {
                **network,
                "init_args": {"dim": 8, "layer": {"class_path": "fold.models.layers.ConformerLayers"}},
            },
            "sampler": {
                "class_path": "fold.sampling.DepthFirst",
                "init_args": {"num_paths": 2, "growth": {"alone": 0.1, "grown": 0.5}},
            },
            "objective": {
                "deepest": ramp,
                "seed": ramp,
                "distillation": {**ramp, "weight": 0.1, "where": "everywhere"},
                "further": {},
            },
        }
    }
    assert current_names(before) == now == current_names(now)
    check_same_run(Path("run"), before, now, (), allow_changes=False)
    now["model"]["sampler"]["class_path"] = "fold.sampling.Uniform"
    with pytest.raises(FoldError, match=r"model.sampler.class_path: fold.sampling.DepthFirst -> fold.sampling.Uniform"):
        check_same_run(Path("run"), before, now, (), allow_changes=False)

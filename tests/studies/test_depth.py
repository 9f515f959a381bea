"""The systems and methods of the studies of depth are what their pages say, and their settings are accepted."""

from functools import cache

import pytest
from conftest import REPOSITORY

from fold.checkpoint import Description
from fold.cli import train
from fold.evaluation.macs import macs_per_second
from fold.text.units import CharUnits
from studies import depth, methods

NUM_UNITS = 29


@pytest.fixture(autouse=True)
def in_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)


@cache
def built(arguments: tuple[str, ...]) -> train.FoldCLI:
    return train.build("fit", list(arguments))


def sizes(system: str) -> tuple[int, dict[int, float]]:
    """Parameters, and multiply-accumulates by depth."""
    cli = built(tuple(depth.run(system, "sentences", 1, 3e-3).arguments()))
    model = cli.model.network.build(NUM_UNITS, 16000)
    described = Description(cli.model.network, cli.model.space, CharUnits("abcdefghijklmnopqrstuvwxyz "), 16000, "")
    macs = macs_per_second(model, described)
    return model.num_parameters(), {path.count("-") + 1: count for path, count in macs.items()}


def test_rivals_store_or_compute_as_much_as_they_say() -> None:
    foldable, of_foldable = sizes("foldable")
    physical, of_physical = sizes("physical 8")
    exits, of_exits = sizes("early exit")
    wide, of_wide = sizes("wide")
    assert sizes("shared, one depth")[0] == foldable == sizes("physical 4")[0]
    assert exits == physical > 1.8 * foldable
    assert of_exits == pytest.approx(of_foldable)
    assert of_exits[8] == pytest.approx(of_physical[8])
    assert of_wide[4] == pytest.approx(of_foldable[8], rel=0.1)
    assert wide > foldable


@pytest.mark.parametrize("name", methods.METHODS)
def test_settings_of_methods_are_accepted(name: str) -> None:
    arguments = depth.run("foldable", "sentences", 1, 3e-3).arguments()
    plain, changed = built(tuple(arguments)).model, built((*arguments, *methods.METHODS[name])).model
    assert (changed.network, changed.space, changed.method) != (plain.network, plain.space, plain.method)


def test_methods_wait_for_the_learning_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depth, "best_rate", lambda system, corpus: None)
    assert methods.methods() == {}
    monkeypatch.setattr(depth, "best_rate", lambda system, corpus: 1.5e-3)
    of_all = methods.methods()
    assert list(of_all) == ["foldable", *methods.METHODS]
    assert all("--model.optimizer.init_args.lr=0.0015" in run.options for runs in of_all.values() for run in runs)


def test_methods_without_a_learning_rate_end_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depth, "best_rate", lambda system, corpus: None)
    monkeypatch.setattr("sys.argv", ["methods"])
    with pytest.raises(SystemExit, match=r"not chosen yet: python -m studies\.depth"):
        methods.main()

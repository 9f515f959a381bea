"""The fault harness, a little of it; all of it with `make torture`. Kills are in training/test_resume.py
and test_signals.py."""

from pathlib import Path

import pytest
from torture import Tally
from torture.hostility import hostility
from torture.kills import ASKING, KILLING, Signals, kills
from torture.mutations import mutations

from fold.data import download


def told(tally: Tally) -> None:
    print(f"\n{tally}")
    assert tally.lost == 0


@pytest.mark.parametrize("number", [90, pytest.param(1200, marks=pytest.mark.torture)])
def test_mutated_shards_and_samples(number: int, tmp_path: Path) -> None:
    told(mutations(number, tmp_path))


@pytest.mark.parametrize("number", [30, pytest.param(500, marks=pytest.mark.torture)])
def test_hostile_server(number: int, tones_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "BACKOFF_SECONDS", 0.001)
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.3)
    [prepared] = tones_shards.glob("tones-*")
    told(hostility(number, prepared, tmp_path))


@pytest.mark.torture
@pytest.mark.parametrize(
    ("number", "processes", "workers", "signals"),
    [(15, 1, 0, KILLING), (6, 1, 2, KILLING), (12, 2, 0, KILLING), (9, 1, 1, ASKING), (9, 2, 1, ASKING)],
)
def test_killed_runs(
    number: int, processes: int, workers: int, signals: Signals, tones_config: Path, tmp_path: Path
) -> None:
    told(kills(number, tones_config, tmp_path, processes, workers, signals))

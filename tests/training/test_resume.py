"""Killed anywhere, a run goes on with the same command and ends as if nothing had happened."""

from pathlib import Path

import pytest
from torture.kills import killed_runs


@pytest.mark.parametrize(("processes", "workers"), [(1, 0), (1, 2), (2, 0)])
def test_a_killed_run_ends_with_the_same_bits(processes: int, workers: int, tones_config: Path, tmp_path: Path) -> None:
    runs = list(killed_runs(tones_config, tmp_path, kills=1, kills_a_run=1, processes=processes, workers=workers))
    assert runs and all(lost == [] for lost in runs), runs

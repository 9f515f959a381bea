"""What tests of interruptions compare with: a run that was not interrupted."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from torture.kills import Whole, uninterrupted


@pytest.fixture(scope="session")
def whole(tones_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Whole]:
    """The uninterrupted run of one or two processes, made once."""
    folder = tmp_path_factory.mktemp("whole")
    return cache(lambda processes: uninterrupted(tones_config, folder, processes))

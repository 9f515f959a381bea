"""Fixtures of the tests of `fold_device`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from stub_export import RATE, write_stub


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """An exported folder, to be damaged at will."""
    return write_stub(tmp_path / "exported")


@pytest.fixture
def wav(tmp_path: Path) -> Callable[..., Path]:
    """Writes samples to a WAV file of 32-bit numbers."""

    def write(name: str, samples: np.ndarray, rate: int = RATE, subtype: str = "FLOAT") -> Path:
        soundfile.write(tmp_path / name, samples, rate, subtype=subtype)
        return tmp_path / name

    return write

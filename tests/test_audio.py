"""Reading audio files."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from fold.audio import BLOCK, read_audio
from fold.errors import FoldError


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = np.full(100, 0.5), np.full(100, -0.25)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), 8000, subtype="FLOAT")
    samples, sample_rate = read_audio(tmp_path / "a.wav")
    assert sample_rate == 8000
    np.testing.assert_allclose(samples, np.full(100, 0.125))


@pytest.mark.parametrize("rate", [8000, 44100])
def test_resampling_by_blocks_is_that_of_the_whole(tmp_path: Path, rate: int) -> None:
    sound = np.random.default_rng(0).normal(scale=0.1, size=2 * BLOCK + 77).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", sound, rate, subtype="FLOAT")
    samples, sample_rate = read_audio(tmp_path / "a.wav", 16000)
    whole = soxr.resample(sound, rate, 16000)
    assert sample_rate == 16000 and abs(len(samples) - len(whole)) <= 1
    np.testing.assert_allclose(samples[: len(whole)], whole[: len(samples)], atol=1e-4)


def test_a_file_may_hold_no_samples(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 8000)
    for rate in (None, 16000):
        assert read_audio(tmp_path / "empty.wav", rate)[0].shape == (0,)


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "no such file"), (b"no audio", "not audio"), (b"RIFF", "not audio")]
)
def test_bad_files_are_named(content: bytes | None, reason: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "bad.wav").write_bytes(content)
    with pytest.raises(FoldError, match=rf"bad.wav: {reason}"):
        read_audio(tmp_path / "bad.wav")

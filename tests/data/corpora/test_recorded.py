"""Which recordings a corpus takes."""

import re
from pathlib import Path

import numpy as np
import pytest
from audio_files import RATE, encoded, speech

from fold.data.corpora import FSDD, LibriSpeech, Manifest
from fold.errors import FoldError


def read(content: bytes, folder: Path, **settings: object) -> tuple[np.ndarray, int, tuple[str, ...]]:
    (folder / "a.wav").write_bytes(content)
    return Manifest(**settings).read(folder / "a.wav")


SPEECH = speech(3.0)
STEREO = np.stack([SPEECH, -SPEECH], axis=1)
NOT_A_NUMBER = np.where(np.arange(len(SPEECH)) == 9, np.nan, SPEECH)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (encoded("wav", SPEECH[:0]), "holds no samples"),
        (encoded("wav", 0 * SPEECH), "silent$"),
        (encoded("wav_float", 1e-5 * np.sign(SPEECH)), "silent$"),  # nothing in 16 bits
        (encoded("wav", 0.1 + 0 * SPEECH), "silent$"),  # but for a constant
        (encoded("wav", np.sign(SPEECH) / 32768), "silent$"),  # dither
        (encoded("wav", 0.1 + STEREO), r"silent, as its 2 channels cancel each other"),
        (encoded("wav", STEREO), r"silent, as its 2 channels cancel each other \(0% .*\): set channel$"),
        (encoded("wav_float", 32768 * SPEECH), r"\d+% of its samples are beyond full scale, which is 1.0$"),
        (encoded("wav_float", NOT_A_NUMBER), "holds samples that are NaN or infinite, from 0.0 s on$"),
        (encoded("flac", SPEECH)[:20000], r"\d.\d s of 3.0 s are there; mend it, leave it out, or set max_lost above"),
        (encoded("opus", SPEECH)[:6000], "the file ends within a page; mend it"),
    ],
)
def test_a_recording_that_would_be_something_else_is_refused(content: bytes, told: str, tmp_path: Path) -> None:
    with pytest.raises(FoldError, match=f"a.wav: .*{told}"):
        read(content, tmp_path)


def test_settings_take_what_is_there(tmp_path: Path) -> None:
    samples, _, notices = read(encoded("flac", SPEECH)[:20000], tmp_path, max_lost=1.0)
    assert 0 < len(samples) < 2 * RATE
    assert [notice.split(": ")[1] for notice in notices] == [f"{len(samples) / RATE:.1f} s of 3.0 s are there"]
    samples, _, notices = read(encoded("wav", STEREO), tmp_path, channel="right")
    np.testing.assert_allclose(samples, -SPEECH, atol=1e-4)
    assert not notices


def test_samples_that_will_be_cut_off_are_told(tmp_path: Path) -> None:
    loud = SPEECH / np.quantile(np.abs(SPEECH), 0.98)
    [notice] = read(encoded("wav_float", loud), tmp_path)[2]
    assert re.search(r"a.wav: \d\.\d% of its samples are beyond full scale, which is 1.0; they are cut off$", notice)
    assert not read(encoded("wav_float", loud / np.abs(loud).max()), tmp_path)[2]


def test_a_mix_that_loses_energy_is_told(tmp_path: Path) -> None:
    content = encoded("wav", np.stack([SPEECH, -0.8 * SPEECH], axis=1))
    [notice] = read(content, tmp_path)[2]
    assert notice.endswith("a.wav: its 2 channels cancel each other (1% of their energy is left in the mix)")


def test_shards_of_the_time_before_these_settings_are_found() -> None:
    assert Manifest().describe()["settings"] == {"train": "train.tsv", "dev": "dev.tsv", "test": "test.tsv"}
    assert set(LibriSpeech().describe()["settings"]) == {"train", "dev", "test"}
    assert "channel" not in FSDD().describe()["settings"]
    assert Manifest(channel="left").describe()["settings"]["channel"] == "left"
    assert Manifest(max_lost=0.5).describe() != Manifest().describe()

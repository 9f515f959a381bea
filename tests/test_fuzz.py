"""Mutated inputs, a few of them; thousands with `make fuzz`."""

from pathlib import Path

import pytest
from fuzz import Findings
from fuzz.tars import tars
from fuzz.texts import configurations, kept_files, manifests, transcripts

ALLOWED = {"read", "refused", "flawed", "read as FFmpeg reads it", "read where FFmpeg finds fault"}


def check(findings: Findings) -> None:
    print(f"\n{findings}")
    assert set(findings.outcomes) <= ALLOWED, "\n".join(findings.bad[:20])


@pytest.mark.parametrize("number", [170, pytest.param(8500, marks=pytest.mark.fuzz)])
def test_audio_files(number: int, tmp_path: Path) -> None:
    pytest.importorskip("av", reason="needs a second decoder: pip install av")
    from fuzz.audio import audio

    check(audio(number, tmp_path))


@pytest.mark.parametrize("number", [200, pytest.param(1500, marks=pytest.mark.fuzz)])
def test_manifests(number: int, tmp_path: Path) -> None:
    check(manifests(number, tmp_path))


@pytest.mark.parametrize("number", [100, pytest.param(2000, marks=pytest.mark.fuzz)])
def test_tars(number: int, tmp_path: Path) -> None:
    check(tars(number, tmp_path))


@pytest.mark.parametrize("number", [200, pytest.param(1500, marks=pytest.mark.fuzz)])
def test_transcripts(number: int, tmp_path: Path) -> None:
    check(transcripts(number, tmp_path))


@pytest.mark.parametrize("number", [20, pytest.param(500, marks=pytest.mark.fuzz)])
def test_configurations(number: int, tmp_path: Path) -> None:
    check(configurations(number, tmp_path))


@pytest.mark.parametrize("number", [60, pytest.param(1000, marks=pytest.mark.fuzz)])
def test_kept_files(number: int, tones_shards: Path, tmp_path: Path) -> None:
    [prepared] = tones_shards.glob("tones-*")
    check(kept_files(number, prepared, tmp_path))

"""The check for GPUs, rehearsed on the CPU: the figures mean nothing, but all of it runs."""

import json
from pathlib import Path

import pytest

from benchmarks import gpu_check
from benchmarks.report import Section


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rehearsed")
    gpu_check.main(["--rehearse", "--output", str(folder)])
    return folder


def test_every_check_runs_and_is_written(rehearsed: Path) -> None:
    [file] = rehearsed.glob("*.json")
    checks = json.loads(file.read_text())["checks"]
    assert list(checks) == ["tests", "experiments", "waits", "joint", "batches", "conformer", "wav2vec2", "profile"]
    assert not [check["title"] for check in checks.values() if "FAILED" in check["title"]]
    assert checks["experiments"]["notes"] == ["conformer_fold_librispeech100: trained, saved, swept"]
    [markdown] = rehearsed.glob("*.md")
    for check in checks.values():
        assert check["title"] in markdown.read_text()


def test_every_experiment_for_gpus_is_checked() -> None:
    named = {"conformer_fold_librispeech100", "conformer_physical_librispeech100", "wav2vec2_fold", "hubert_large_fold"}
    assert named <= set(gpu_check.GPU_EXPERIMENTS)
    assert "conformer_fold" not in gpu_check.GPU_EXPERIMENTS


def test_a_check_that_fails_does_not_stop_the_others() -> None:
    def broken() -> Section:
        raise RuntimeError("no such kernel")

    section = gpu_check.attempt("joint", broken)
    assert (section.title, section.notes) == ("joint: FAILED", ["RuntimeError: no such kernel"])


def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit):
        gpu_check.main([])
    assert "no usable GPU" in capsys.readouterr().err

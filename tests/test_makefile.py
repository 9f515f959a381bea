"""What `make train` installs in a fresh clone is enough for what it trains."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from conftest import REPOSITORY

OF_TRANSFORMERS = re.compile(r"w2v-bert|w2v_bert|wav2vec2-conformer")  # families whose layers are theirs


@pytest.mark.parametrize("experiment", sorted((REPOSITORY / "experiments").glob("*.yaml")), ids=lambda file: file.stem)
def test_make_train_installs_what_an_experiment_needs(experiment: Path) -> None:
    installed = installs("train", f"EXP={experiment.stem}")
    assert bool(OF_TRANSFORMERS.search(experiment.read_text())) == (".[dev,docs]" in installed)
    assert ".[onnx,device,dashboard,sentences]" in installed


@pytest.mark.parametrize("given", ["DATA=huggingface", "ROOT=s3://bucket/folder", "ARGS=--data.shards=s3://bucket"])
def test_make_train_installs_what_a_corpus_needs(given: str) -> None:
    assert ".[dev,docs]" in installs("train", given)


def installs(*words: str) -> str:
    """What a command of make would do where nothing is installed."""
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "ARGS")}
    command = ["make", "-n", *words, "VENV=nowhere"]
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True).stdout

"""Whether runtimes agree: what is counted, and that a real export agrees."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TINY_NETWORK

from benchmarks.agreement import RATE, Export, table
from fold.checkpoint import KEY, PREFIX, Description
from fold.models import Conformer
from fold.paths import PathSpace
from fold.text.units import CharUnits

SECONDS = (0.1, 0.7, 1.5)


@pytest.fixture
def export(tmp_path: Path) -> Export:
    """An untrained model whose head is steep, so that it says something, and changing noise."""
    torch.manual_seed(0)
    network = Conformer(**{**TINY_NETWORK, "num_mels": 80})  # as sherpa-onnx expects
    description = Description(network, PathSpace(2), CharUnits("abcdefghij"), RATE, shards="nowhere")
    model = description.build()
    model.ctc_head.weight.data *= 8
    weights = {PREFIX + name: value for name, value in model.state_dict().items()}
    torch.save({KEY: description.to_dict(), "state_dict": weights}, tmp_path / "model.ckpt")
    random = np.random.default_rng(0)
    sounds = [random.normal(scale=0.1, size=round(seconds * RATE)).astype(np.float32) for seconds in SECONDS]
    return Export(
        tmp_path / "model.ckpt", tmp_path, [sound * np.linspace(0, 1, len(sound), dtype=np.float32) for sound in sounds]
    )


def test_what_differs_is_counted(export: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Export, "pytorch", lambda _, depth: ["one", "two", str(depth)])
    monkeypatch.setattr(Export, "uncut", lambda _, depth: ["one", "two", "3"])
    monkeypatch.setattr(Export, "device", lambda _, python, depth: ["one", "two", str(depth)])
    monkeypatch.setattr(Export, "sherpa", lambda _, depth: ["one", "too", "3"])
    monkeypatch.setattr(Export, "browser", lambda _, number, depth: ["no"][:number])
    _, _, *lines = table(export, [sys.executable], 1)
    assert [line.split(" | ")[1:] for line in lines if "Runtime" in line] == [[str(d), "0 of 3 |"] for d in (2, 3, 4)]
    assert [line.split(" | ")[2] for line in lines if "sherpa" in line] == ["1 of 3 |"] * 3
    assert [line.split(" | ")[2] for line in lines if "Chromium" in line] == ["1 of 1 |"] * 3


@pytest.mark.slow
def test_an_export_agrees(export: Export) -> None:
    assert len({tuple(export.pytorch(depth)) for depth in (2, 3, 4)}) > 1
    _, _, *lines = table(export, [sys.executable], 0)
    assert len(lines) == 6 and all(line.endswith("| 0 of 3 |") for line in lines), lines

"""The same graph in other runtimes, and other kinds of models in the same graph."""

from pathlib import Path

import numpy as np
import openvino
import pytest
from export.onnx.exported import RATE, Exported, describe, export, furthest, noise, run
from models.foundation.compressed import dphubert
from models.foundation.directories import FAMILIES, write

from fold.errors import FoldError
from fold.export.onnx.network import from_features
from fold.models import Foundation
from fold.paths import PathSpace

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("depth", [2, 5])
def test_openvino(exported: Exported, depth: int) -> None:
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(exported.file()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    waveforms, num_samples = noise(RATE, 2 * RATE)
    repeats = np.array(exported.known["depths"][str(depth)])
    given = {"waveforms": waveforms.numpy(), "num_samples": num_samples.numpy(), "repeats": repeats}
    log_probs, num_frames = compiled(given).to_tuple()
    got = [row[:n] for row, n in zip(log_probs, num_frames, strict=True)]
    path = exported.description.space.canonical(depth)
    assert furthest(got, exported.expected(waveforms, num_samples, path)) < 5e-4


@pytest.mark.parametrize("family", FAMILIES)
def test_foundation_models(family: str, tmp_path: Path) -> None:
    write(tmp_path / "original", family)
    network = Foundation(source=str(tmp_path / "original"), num_layers=2)
    exported = export(tmp_path, describe(network, PathSpace(2, 2)), "--storage=[fp32,int8]")
    assert exported.known["frame_seconds"] == (0.02 if family == "w2v-bert" else 20 / RATE)
    waveforms, num_samples = noise(4001, 2713, 300, 5, 0)
    for repeats in ((1, 1), (2, 2)):
        path = exported.description.space.canonical(sum(repeats))
        expected = exported.expected(waveforms, num_samples, path)
        assert furthest(run(exported.session(), waveforms, num_samples, repeats), expected) < 1e-5
        assert furthest(run(exported.session("int8"), waveforms, num_samples, repeats), expected) < 0.2
    with pytest.raises(FoldError, match="it hears waveforms"):
        from_features(exported.model)


def test_pruned_models(tmp_path: Path) -> None:
    exported = export(tmp_path, describe(dphubert(tmp_path).network, PathSpace(3, 2)), "--storage=fp32")
    waveforms, num_samples = noise(12001, 8713, 0)
    for repeats in ((1, 1, 1), (2, 2, 2)):
        expected = exported.expected(waveforms, num_samples, exported.description.space.canonical(sum(repeats)))
        assert furthest(run(exported.session(), waveforms, num_samples, repeats), expected) < 1e-5

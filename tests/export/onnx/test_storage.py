"""Weights in fewer bits: which become smaller, which must not, and what that costs."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from export.onnx.exported import RATE, Exported, conformer, describe, export, noise, run

from fold.evaluation.size import int8_bytes
from fold.models import Foundation
from fold.models.foundation import Shape
from fold.models.foundation.families.w2v_bert import BertShape

QUANTISED = ["int8", "int4"]
FURTHEST = {"fp16": 0.01, "int8": 0.5, "int4": 1.5}  # log-probabilities of random weights


@pytest.mark.parametrize("storage", FURTHEST)
def test_every_storage_computes_nearly_the_same_at_every_depth(exported: Exported, storage: str) -> None:
    waveforms, num_samples = noise(2 * RATE, RATE)
    sessions = exported.session(), exported.session(storage)
    for repeats in exported.known["depths"].values():
        expected, got = (run(session, waveforms, num_samples, repeats) for session in sessions)
        differences = [np.abs(a - b).mean() for a, b in zip(expected, got, strict=True)]
        assert 0 < max(differences) < FURTHEST[storage]


@pytest.mark.parametrize("storage", ["fp16", *QUANTISED])
def test_filterbanks_stay_exact(exported: Exported, storage: str) -> None:
    """Quantised filterbanks ruin a model without a word: their input is a power spectrum."""
    waveforms, num_samples = noise(RATE, 12000)
    expected, got = (features(exported, way, waveforms, num_samples) for way in ("fp32", storage))
    assert np.array_equal(expected, got)
    assert np.abs(expected - exported.model.stem.frontend.fbank(waveforms).numpy()).max() < 2e-3


def features(exported: Exported, storage: str, waveforms: torch.Tensor, num_samples: torch.Tensor) -> np.ndarray:
    """The log-mel filterbanks inside a graph: what its first logarithm gives."""
    model = onnx.load(exported.file(storage))
    [log] = [node.output[0] for node in model.graph.node if node.op_type == "Log"]
    model.graph.output.append(onnx.helper.make_tensor_value_info(log, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    given = {"waveforms": waveforms.numpy(), "num_samples": num_samples.numpy(), "repeats": np.ones(2, np.int64)}
    return session.run([log], given)[0]


@pytest.mark.parametrize("storage", QUANTISED)
def test_every_matrix_of_a_layer_is_quantised(exported: Exported, storage: str) -> None:
    """By default the tool that quantises skips the bodies of loops, which is where the layers are."""
    model = onnx.load(exported.file(storage))
    wide = {tensor.name for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT}
    loops = [node for node in model.graph.node if node.op_type == "Loop"]
    assert len(loops) == 2
    quantised = [node for node in model.graph.node if node.op_type in ("MatMulInteger", "MatMulNBits")]
    assert len(quantised) == 2 + 2  # of positions; after the subsampling, and the head
    for loop in loops:
        body = next(attribute.g for attribute in loop.attribute if attribute.name == "body")
        kinds = [node.op_type for node in body.node]
        assert kinds.count("MatMulInteger") + kinds.count("MatMulNBits") == 8  # all but that of positions
        assert not [node for node in body.node if node.op_type in ("MatMul", "Gemm") and wide & set(node.input)]


def test_fewer_bits_take_fewer_bytes(exported: Exported) -> None:
    sizes = [sum(tensor_bytes(exported, storage)) for storage in ("fp32", "fp16", "int8", "int4")]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[1] < 0.6 * sizes[0] and sizes[2] < 0.45 * sizes[0]
    for storage, files in exported.known["models"].items():
        assert files["bytes"] == sum((exported.folder / files[kind]).stat().st_size for kind in ("file", "data")), (
            storage
        )


def tensor_bytes(exported: Exported, storage: str) -> list[int]:
    model = onnx.load(exported.file(storage))
    return [onnx.numpy_helper.to_array(tensor).nbytes for tensor in model.graph.initializer]


WIDE = {"dim": 144, "num_heads": 4, "num_layers": 2}
WAVES = {"ffn_dim": 576, "position_kernel": 16, "position_groups": 4, "conv_channels": (32,) * 7}
SHAPES = {
    "conformer": conformer(num_layers=2, dim=144, num_heads=4, ffn_dim=576, kernel_size=15),
    "wav2vec2": Foundation(shape=Shape(**WIDE, **WAVES)),
    "wavlm": Foundation(shape=Shape("wavlm", **WIDE, **WAVES)),
    "w2v-bert": Foundation(shape=BertShape(**WIDE, ffn_dim=576)),
}


def test_bytes_of_int8_are_known_without_an_export(exported: Exported) -> None:
    wide, narrow = (sum(tensor_bytes(exported, storage)) for storage in ("fp32", "int8"))
    constants = wide - sum(weight.nbytes for weight in exported.model.state_dict().values())  # of filterbanks
    assert constants > 0
    assert int8_bytes(exported.model) == pytest.approx(narrow - constants, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("kind", SHAPES)
def test_bytes_of_int8_are_those_of_the_file(kind: str, tmp_path: Path) -> None:
    exported = export(tmp_path, describe(SHAPES[kind]), "--storage=int8")
    files = exported.known["models"]["int8"]
    graph = exported.file("int8").stat().st_size
    assert 0.98 * (files["bytes"] - graph) < int8_bytes(exported.model) < 1.02 * files["bytes"]
    assert graph < 100_000

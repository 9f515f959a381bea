"""The exported graph, run by ONNX Runtime: what PyTorch computes, at every path, for any sound; each weight once."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from export.onnx.exported import RATE, SHAPE, Exported, conformer, describe, export, furthest, noise, run

from fold.export.onnx.frontend import TabledFbank
from fold.models.frontend import Fbank
from fold.paths import PathSpace

CLOSE = 3e-4  # log-probabilities
SPACES = ((1, 1), (2, 1), (1, 2), (1, 3), (2, 3))


@pytest.mark.parametrize("repeats", SPACES)
def test_a_padded_batch_has_what_pytorch_computes_at_every_path(exported: Exported, repeats: tuple[int, ...]) -> None:
    waveforms, num_samples = noise(RATE, 2 * RATE, 9000, 16123)
    path = exported.description.space.choose(path=_path(repeats))
    got = run(exported.session(), waveforms, num_samples, repeats)
    assert furthest(got, exported.expected(waveforms, num_samples, path)) < CLOSE
    alone = [
        run(exported.session(), waveforms[i : i + 1, :n], num_samples[i : i + 1], repeats)[0]
        for i, n in enumerate(num_samples)
    ]
    assert furthest(alone, [torch.from_numpy(row) for row in got]) < CLOSE


def _path(repeats: tuple[int, ...]) -> str:
    return "-".join(str(layer) for layer, times in enumerate(repeats, start=1) for _ in range(times))


@pytest.mark.parametrize("samples", [0, 1, 399, 400, 1359, 1360, 30 * RATE])
def test_sound_of_any_length(exported: Exported, samples: int) -> None:
    waveforms, num_samples = noise(samples)
    got = run(exported.session(), waveforms, num_samples, (2, 3))
    assert furthest(got, exported.expected(waveforms, num_samples, exported.description.space.deepest)) < 2 * CLOSE
    assert len(got[0]) == exported.description.architecture.num_frames(samples, RATE)
    assert run(exported.session(), waveforms[:, :0], 0 * num_samples, (1, 1))[0].shape == (0, 11)


def test_silence_and_an_offset(exported: Exported) -> None:
    speech = noise(RATE)[0]
    silence = torch.zeros(1, RATE // 2)
    sounds = {
        "silent": torch.zeros(1, RATE),
        "silent around": torch.cat([silence, speech, silence], 1),
        "silent around, soft": torch.cat([silence, 0.01 * speech, silence], 1),
        "an offset": speech + 0.2,
    }
    for name, sound in sounds.items():
        num_samples = torch.tensor([sound.shape[1]])
        got = run(exported.session(), sound, num_samples, (1, 1))
        difference = furthest(got, exported.expected(sound, num_samples, exported.description.space.seed))
        assert difference < CLOSE, name


@pytest.mark.parametrize(("rate", "num_mels"), [(16000, 80), (16000, 40), (8000, 23), (22050, 80)])
def test_the_tabled_filterbanks_are_those_of_training(rate: int, num_mels: int) -> None:
    fbank = Fbank(rate, num_mels)
    tabled = TabledFbank(fbank)
    assert torch.equal(tabled.filters(), fbank.filters[:-1])
    assert fbank.filters[-1].abs().max() == 0
    waveforms, _ = noise(rate, rate, rate)
    waveforms += 0.1 * torch.linspace(0, 30, rate).sin() + 0.05  # loud where speech is not: rumble and an offset
    differences = tabled(waveforms) - fbank(waveforms)
    assert differences.abs().max() < 2e-3 and differences.std() < 2e-5
    silence = torch.zeros(1, rate)
    assert torch.equal(tabled(silence), fbank(silence))


def test_each_weight_is_stored_once(exported: Exported) -> None:
    weights = [onnx.numpy_helper.to_array(tensor) for tensor in initializers(exported)]
    tables = sum(buffer.numel() for buffer in TabledFbank(exported.model.stem.frontend.fbank).buffers())
    stored = sum(weight.size for weight in weights if weight.dtype == np.float32)
    assert 0 <= stored - exported.model.num_parameters() < tables + 1000
    contents = Counter((weight.shape, weight.tobytes()) for weight in weights if weight.size >= SHAPE["dim"] ** 2)
    assert set(contents.values()) == {1}


def initializers(exported: Exported, storage: str = "fp32") -> list[onnx.TensorProto]:
    """All weights of a graph, with those in the bodies of its loops."""
    model = onnx.load(exported.file(storage))
    assert not any(
        constants for graph in graphs(model.graph) if graph is not model.graph for constants in graph.initializer
    )
    return list(model.graph.initializer)


def graphs(graph: onnx.GraphProto) -> list[onnx.GraphProto]:
    """A graph and the bodies of its loops."""
    bodies = [a.g for node in graph.node for a in node.attribute if a.type == onnx.AttributeProto.GRAPH]
    return [graph, *(inner for body in bodies for inner in graphs(body))]


def test_the_graph_has_a_loop_a_layer_and_says_what_it_takes(exported: Exported) -> None:
    model = onnx.load(exported.file(), load_external_data=False)
    assert [node.op_type for node in model.graph.node].count("Loop") == SHAPE["num_layers"]
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {
        "waveforms": ["batch", "samples"],
        "num_samples": ["batch"],
        "repeats": [2],
        "log_probs": ["batch", "frames", 11],
        "num_frames": ["batch"],
    }


def test_a_loop_computes_nothing_that_its_runs_share(exported: Exported) -> None:
    model = onnx.load(exported.file(), load_external_data=False)
    bodies = [graph for graph in graphs(model.graph) if graph is not model.graph]
    assert len(bodies) == SHAPE["num_layers"]
    for body in bodies:
        own = {value.name for value in body.input}
        for node in body.node:
            assert own & set(node.input), f"{node.op_type} depends on nothing that changes"
            own |= set(node.output)
        assert not [node for node in body.node if node.op_type == "Shape"]


@pytest.mark.parametrize("storage", ["fp32", "fp16", "int8", "int4"])
def test_runtimes_of_two_years_ago_know_its_operators(exported: Exported, storage: str) -> None:
    model = onnx.load(exported.file(storage), load_external_data=False)
    assert model.ir_version <= 10 and max(opset.version for opset in model.opset_import) <= 21  # of ONNX Runtime 1.20


@pytest.mark.parametrize("storage", ["fp32", "int8"])
def test_nothing_of_the_machine_that_wrote_it_is_in_a_graph(exported: Exported, storage: str) -> None:
    content = exported.file(storage).read_bytes()
    for trace in (b"site-packages", b".py", str(Path.cwd()).encode(), str(exported.folder).encode(), b"Traceback"):
        assert trace not in content


@pytest.mark.slow
def test_filterbanks_from_the_runtime(tmp_path: Path) -> None:
    description = describe(conformer(num_layers=1), PathSpace(1, 2))
    exported = export(tmp_path, description, "--storage=fp32", "--input=features")
    waveforms, num_samples = noise(2 * RATE, RATE)
    fbank = exported.model.stem.frontend.fbank
    features, num_frames = fbank(waveforms), fbank.num_frames(num_samples)
    expected = exported.expected(waveforms, num_samples, description.space.deepest)
    assert furthest(run(exported.session(), features, num_frames, [2]), expected) < 1e-4
    for frames in (0, 1, 6, 7):
        [row] = run(exported.session(), features[:1, :frames], torch.tensor([frames]), [2])
        assert len(row) == (frames == 7)
    assert exported.known["input"] == "features"


VARIANTS = {
    "group norm": {"conv_norm": "group"},
    "batch norm": {"conv_norm": "batch"},
    "global normalisation": {"normalisation": "global"},
    "the paper's shape, narrow": {
        "num_layers": 6,
        "dim": 32,
        "num_heads": 4,
        "kernel_size": 31,
        "num_mels": 80,
        "decoder_layers": 1,
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_other_conformers(variant: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    network = conformer(**VARIANTS[variant])
    exported = export(tmp_path, describe(network), "--storage=[fp32,int8]")
    assert ("decoder is left out" in capfd.readouterr().out) == bool(network.decoder_layers)
    waveforms, num_samples = noise(RATE, 2 * RATE, 300)
    for depth, repeats in exported.known["depths"].items():
        expected = exported.expected(waveforms, num_samples, exported.description.space.canonical(int(depth)))
        assert furthest(run(exported.session(), waveforms, num_samples, repeats), expected) < CLOSE
        assert furthest(run(exported.session("int8"), waveforms, num_samples, repeats), expected) < 1


@pytest.mark.slow
def test_a_model_takes_the_bytes_of_its_weights_and_no_more_memory_with_depth(tmp_path: Path) -> None:
    network = conformer(num_layers=2, dim=256, num_heads=4, ffn_dim=2048)
    exported = export(tmp_path, describe(network, PathSpace(2, 8)), "--storage=[fp32,int8]")
    weights = 4 * exported.model.num_parameters()
    for storage, share in (("fp32", 1.03), ("int8", 0.33)):
        assert exported.known["models"][storage]["bytes"] < share * weights
        seed, deepest = (min(peak_memory(exported.file(storage), times) for _ in range(3)) for times in (1, 8))
        assert 0 < deepest < 1.05 * seed


def peak_memory(file: Path, times: int) -> int:
    """KiB that a fresh process gains by loading a graph and hearing 3 s, each layer run `times` times."""
    code = f"""
import numpy, onnxruntime
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
before = peak()
session = onnxruntime.InferenceSession({str(file)!r}, options, providers=["CPUExecutionProvider"])
sound, length, repeats = numpy.zeros((1, 48000), "f4"), numpy.array([48000]), numpy.array([{times}] * 2)
for _ in range(3):
    session.run(None, dict(waveforms=sound, num_samples=length, repeats=repeats))
print(peak() - before)
"""
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)

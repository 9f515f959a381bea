"""Models for onnx-asr: the graph as it calls it, and, where a release knows the layout, through onnx-asr itself."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from export.onnx.exported import RATE, Exported, checkpoint, conformer, describe, noise
from export.onnx.test_sherpa import peaked

from fold.checkpoint import Description
from fold.cli import main
from fold.decoding.greedy import ctc_greedy
from fold.errors import FoldError
from fold.export.onnx.baked import change_depth
from fold.export.onnx.onnx_asr import vocabulary_lines, write_onnx_asr
from fold.models import Foundation, Recogniser
from fold.models.foundation import Shape
from fold.paths import PathSpace
from fold.text.units import CharUnits, SentencePieceUnits

LENGTHS = (3 * RATE, 2 * RATE + 77, RATE, 300)
WAV2VEC2 = Shape(
    dim=32, num_heads=2, num_layers=2, ffn_dim=64, position_kernel=16, position_groups=4, conv_channels=(16,) * 7
)
NETWORKS = {"conformer": (conformer(), 640), "wav2vec2": (Foundation(shape=WAV2VEC2), 320)}  # and samples of a frame


def talkative(model: Recogniser) -> None:
    """Frames disagree on their unit, of which none is unknown: onnx-asr drops spaces before signs."""
    peaked(model)
    model.ctc_head.bias.data[0] += 3
    model.ctc_head.bias.data[1] -= 100


@dataclass
class ForOnnxAsr(Exported):
    """samples: of a frame."""

    samples: int


@pytest.fixture(scope="module", params=NETWORKS)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ForOnnxAsr:
    """A folded model at its deepest path."""
    network, samples = NETWORKS[request.param]
    folder = tmp_path_factory.mktemp("onnx_asr")
    description = describe(network, PathSpace(2, (2, 3)))
    model = checkpoint(folder / "last.ckpt", description, talkative)
    arguments = [f"--ckpt_path={folder}/last.ckpt", f"--output={folder}/out", "--storage=[fp32,int8]"]
    assert main(["export", "--to=onnx-asr", *arguments]) == 0
    return ForOnnxAsr(folder / "out", model, description, samples)


def heard_by_fold(exported: Exported, depth: int) -> list[str]:
    path = exported.description.space.canonical(depth)
    texts = []
    for log_probs in exported.expected(*sounds(), path):
        [units] = ctc_greedy(log_probs[None], torch.tensor([len(log_probs)]))
        texts.append(exported.description.units.decode(units).strip())
    return texts


def sounds() -> tuple[torch.Tensor, torch.Tensor]:
    """Noise that grows louder, of all lengths."""
    waveforms, num_samples = noise(*LENGTHS)
    return waveforms * torch.linspace(0, 1, waveforms.shape[1]), num_samples


@pytest.mark.slow
@pytest.mark.parametrize("depth", [2, 5])
def test_the_graph_gives_blank_behind_the_end_of_a_sound(exported: ForOnnxAsr, depth: int) -> None:
    """onnx-asr counts the frames of padded sounds by itself, some too many."""
    change_depth(exported.folder / "model.onnx", depth, None)
    config = json.loads((exported.folder / "config.json").read_text())
    assert config == {"model_type": "wav2vec2-ctc", "subsampling_factor": exported.samples}
    session = onnxruntime.InferenceSession(exported.folder / "model.onnx", providers=["CPUExecutionProvider"])
    waveforms, num_samples = sounds()
    fed = {"input_values": waveforms.numpy(), "input_lengths": num_samples.numpy()}
    [log_probs] = session.run(["logprobs"], fed)
    expected = exported.expected(waveforms, num_samples, exported.description.space.canonical(depth))
    for row, right in zip(log_probs, expected, strict=True):
        assert np.abs(row[: len(right)] - right.numpy()).max(initial=0) < 3e-4
        assert (row[len(right) :].argmax(-1) == 0).all()
    assert any(length // exported.samples + 1 > len(right) for length, right in zip(LENGTHS, expected, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("depth", [2, 5])
def test_onnx_asr_hears_what_pytorch_does(exported: Exported, depth: int) -> None:
    onnx_asr = pytest.importorskip("onnx_asr")
    if "wav2vec2-ctc" not in get_args(onnx_asr.loader.AsrTypeNames):
        pytest.skip("the installed onnx-asr knows no wav2vec2-ctc yet: no release up to 0.12 does")
    for quantization in (None, "int8"):
        name = f"model.{quantization}.onnx" if quantization else "model.onnx"
        change_depth(exported.folder / name, depth, None)
        model = onnx_asr.load_model("wav2vec2-ctc", exported.folder, quantization=quantization)
        waveforms, num_samples = sounds()
        given = [row[:n].numpy() for row, n in zip(waveforms, num_samples, strict=True)]
        texts = [" ".join(text.split()) for text in model.recognize(given, sample_rate=RATE)]
        right = [" ".join(text.split()) for text in heard_by_fold(exported, depth)]
        assert len(set(right)) > 1
        if quantization is None:
            assert texts == right
        else:
            assert [bool(text) for text in texts] == [bool(text) for text in right]


def test_every_unit_has_a_line_as_onnx_asr_reads_it() -> None:
    assert vocabulary_lines(CharUnits(" '1a")) == "<blk> 0\n⁇ 1\n▁ 2\n' 3\n1 4\na 5\n 6\n"
    assert vocabulary_lines(CharUnits(["t", "tʃ"], separator=" ")) == "<blk> 0\n▁⁇ 1\n▁t 2\n▁tʃ 3\n 4\n"
    pieces = SentencePieceUnits.train(["the tent is there", "there is the tenth tent"] * 9, vocab_size=14)
    read = dict(line.split(" ") for line in vocabulary_lines(pieces).splitlines())  # as it splits them
    assert list(read.values()) == [str(index) for index in range(len(pieces))]


REFUSED: dict[str, dict[str, Any]] = {
    "cannot hold the unit '▁'": {"units": CharUnits("a▁")},
    r"cannot hold the unit '\\n'": {"units": CharUnits("a\n")},
    "onnx-asr hears 16000 Hz, this model 8000": {"sample_rate": 8000},
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_the_layout_cannot_hold_is_refused(said: str, tmp_path: Path) -> None:
    settings = {"units": CharUnits("ab"), "sample_rate": RATE, "shards": "nowhere", **REFUSED[said]}
    other = Description(conformer(), PathSpace(2, 2), **settings)
    with pytest.raises(FoldError, match=said):
        write_onnx_asr(tmp_path / "out", other.build(), other, ["fp32"], other.space.seed)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_both_storages_hold_each_weight_beside_the_graph(exported: Exported) -> None:
    for name in ("model.onnx", "model.int8.onnx"):
        model = onnx.load(exported.folder / name, load_external_data=False)
        assert [value.name for value in model.graph.input] == ["input_values", "input_lengths"]
        assert [value.name for value in model.graph.output] == ["logprobs"]
        assert (exported.folder / f"{name}.data").stat().st_size > 10 * (exported.folder / "config.json").stat().st_size

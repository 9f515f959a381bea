"""Models for sherpa-onnx, heard through sherpa-onnx: its own filterbanks, its own decoding."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import sherpa_onnx.offline_recognizer as sherpa
import torch
from conftest import Finished
from export.onnx.exported import RATE, Exported, checkpoint, conformer, describe, noise

from fold.checkpoint import Description
from fold.cli import main
from fold.decoding.greedy import ctc_greedy
from fold.errors import FoldError
from fold.export.onnx.baked import SPACE as BAKED_SPACE
from fold.export.onnx.baked import bake, change_depth
from fold.export.onnx.sherpa import token_lines, write_sherpa
from fold.models import Recogniser
from fold.paths import Path as LayerPath
from fold.paths import PathSpace
from fold.text.units import CharUnits, SentencePieceUnits

Command = Callable[..., Finished]
SPACE = PathSpace(2, (2, 3))


def peaked(model: Recogniser) -> None:
    """Makes frames disagree on their unit, as those of speech do: random weights alone say one thing throughout."""
    model.ctc_head.weight.data *= 8
    model.ctc_head.bias.data[0] -= 5


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A model of 80 mel bins, which is what sherpa-onnx expects of this kind, at its deepest path."""
    folder = tmp_path_factory.mktemp("sherpa")
    description = describe(conformer(num_mels=80), SPACE)
    model = checkpoint(folder / "last.ckpt", description, peaked)
    arguments = [f"--ckpt_path={folder}/last.ckpt", f"--output={folder}/out", "--storage=fp32"]
    assert main(["export", "--to=sherpa", *arguments]) == 0
    return Exported(folder / "out", model, description)


def heard(file: Path, sound: np.ndarray) -> tuple[str, list[float]]:
    """What sherpa-onnx transcribes, and the seconds at which tokens begin."""
    recogniser = sherpa.OfflineRecognizer.from_fire_red_asr_ctc(str(file), str(file.parent / "tokens.txt"))
    stream = recogniser.create_stream()
    stream.accept_waveform(RATE, sound)
    recogniser.decode_stream(stream)
    return stream.result.text, stream.result.timestamps


@torch.no_grad()
def expected(exported: Exported, sound: np.ndarray, path: LayerPath) -> tuple[str, list[float]]:
    [output] = exported.model(torch.from_numpy(sound)[None], torch.tensor([len(sound)]), [path])
    best = output.ctc_log_probs[0, : output.num_frames].argmax(-1).tolist()
    starts = [frame for frame, unit in enumerate(best) if unit and (not frame or unit != best[frame - 1])]
    [units] = ctc_greedy(output.ctc_log_probs, output.num_frames)
    return exported.description.units.decode(units), [0.04 * frame for frame in starts]


def sounds() -> dict[str, np.ndarray]:
    speech = noise(3 * RATE)[0][0].numpy() * np.linspace(0, 1, 3 * RATE, dtype=np.float32)
    silence = np.zeros(RATE // 2, np.float32)
    return {
        "noise": speech,
        "silence around": np.concatenate([silence, speech, silence]),
        "soft": 0.01 * speech,
        "silence": silence,
        "a frame": speech[:400],
        "a sample": speech[:1],
    }


@pytest.mark.slow
@pytest.mark.parametrize("depth", [2, 3, 5])
def test_sherpa_onnx_hears_what_pytorch_does_at_each_depth(exported: Exported, depth: int, tmp_path: Path) -> None:
    file = shutil.copytree(exported.folder, tmp_path / "model") / "model.onnx"
    path = change_depth(file, depth, None)
    texts = set()
    for name, sound in sounds().items():
        (text, times), (right, starts) = heard(file, sound), expected(exported, sound, path)
        assert text.strip() == right.strip(), name
        assert len(times) == len(starts) and np.allclose(times, starts, atol=1e-3), name
        texts.add(text)
    assert len(texts) > 1


def test_every_unit_has_a_line_as_sherpa_onnx_reads_it() -> None:
    assert token_lines(CharUnits(" '1a")) == "<blank> 0\n⁇ 1\n  2\n' 3\n1 4\na 5\n</s> 6\n"
    pieces = SentencePieceUnits.train(["the tent is there", "there is the tenth tent"] * 9, vocab_size=14)
    lines = token_lines(pieces).splitlines()
    assert lines[:2] == ["<blank> 0", "⁇ 1"] and lines[-1] == "</s> 13"
    assert any(line.startswith("▁th") for line in lines)


@pytest.fixture
def baked(tmp_path: Path) -> Path:
    """A file whose graph does nothing with its repeats, but holds them as exported graphs do."""
    graph = elastic()
    description = describe(conformer(), SPACE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fold.export.onnx.sherpa.elastic_graph", lambda *_: graph)
        [file] = write_sherpa(tmp_path / "written", description.build(), description, ["fp32"], SPACE.seed)
    return file


def elastic(num_layers: int = 2) -> object:
    """A graph with an input called repeats."""
    import onnx_ir as ir

    tensor, kind = onnx.helper.make_tensor_value_info, onnx.TensorProto.INT64
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["repeats"], ["out"])],
        "main",
        [tensor("repeats", kind, [num_layers])],
        [tensor("out", kind, [num_layers])],
    )
    return ir.from_proto(onnx.helper.make_model(graph))


def test_changing_the_depth_rewrites_its_bytes_alone(baked: Path, fold_command: Command) -> None:
    before = baked.read_bytes()
    assert fold_command("set-depth", baked, "--depth=5").stdout == f"{baked}: path 1-1-2-2-2, depth 5\n"
    after = baked.read_bytes()
    assert [(a, b) for a, b in zip(before, after, strict=True) if a != b] == [(1, 2), (1, 3)]
    [repeats] = onnx.load(baked).graph.initializer
    assert onnx.numpy_helper.to_array(repeats).tolist() == [2, 3]
    fold_command("set-depth", baked, "--path=1-2")
    assert baked.read_bytes() == before


def test_a_file_keeps_the_order_of_its_canonical_paths(tmp_path: Path) -> None:
    import onnx_ir as ir

    file, space = tmp_path / "model.onnx", PathSpace(3, canonical_order="last")
    ir.save(bake(elastic(3), space, space.seed), file)
    assert str(change_depth(file, 5, None)) == "1-2-2-3-3"
    older = onnx.load(file)  # than this setting
    [known] = [entry for entry in older.metadata_props if entry.key == BAKED_SPACE]
    known.value = json.dumps(json.loads(known.value)[:3])
    onnx.save(older, file)
    assert str(change_depth(file, 5, None)) == "1-1-2-3-3"


def damaged(file: Path, how: str) -> Path:
    content = file.read_bytes()
    match how:
        case "missing":
            file.unlink()
        case "truncated":
            file.write_bytes(content[: len(content) // 2])
        case "text":
            file.write_text("no model")
        case "empty":
            file.write_bytes(b"")
        case "of somebody else":
            onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "main", [], [])), file)
    return file


@pytest.mark.parametrize("how", ["missing", "truncated", "text", "empty", "of somebody else"])
def test_other_files_are_refused_in_one_line(how: str, baked: Path, fold_command: Command) -> None:
    file = damaged(baked, how)
    before = file.read_bytes() if file.exists() else None
    done = fold_command("set-depth", file, "--depth=3", check=False)
    assert done.status == 2 and str(file) in done.stderr and done.stderr.count("\n") == 1
    assert (file.read_bytes() if file.exists() else None) == before


def test_a_depth_outside_the_space_is_refused_and_nothing_written(baked: Path) -> None:
    before = baked.read_bytes()
    for depth, path in ((6, None), (1, None), (None, "1-1-1-2"), (3, "1-2")):
        with pytest.raises(FoldError):
            change_depth(baked, depth, path)
    assert baked.read_bytes() == before


def test_another_sample_rate_is_refused(tmp_path: Path) -> None:
    other = Description(conformer(), SPACE, CharUnits("ab"), 8000, shards="nowhere")
    with pytest.raises(FoldError, match="sherpa-onnx hears 16000 Hz, this model 8000"):
        write_sherpa(tmp_path, other.build(), other, ["fp32"], SPACE.seed)

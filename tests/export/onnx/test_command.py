"""`fold export --to=onnx`: the JSON that it writes, and what it refuses in one line."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from conftest import REPOSITORY, Finished
from export.onnx.exported import RATE, Exported, checkpoint, conformer, describe, noise, run

import fold_device
from fold.decoding.greedy import ctc_greedy
from fold.errors import FoldError
from fold.export.onnx.description import describe as describe_json
from fold.export.onnx.description import describe_units
from fold.export.onnx.folder import write_folder
from fold.export.onnx.network import from_waveforms
from fold.paths import PathSpace
from fold.text.units import CharUnits, SentencePieceUnits
from fold.unfolding import Unfolding

Command = Callable[..., Finished]


def test_the_json_says_what_a_runtime_needs(exported: Exported) -> None:
    known, description = exported.known, exported.description
    assert (known["format"], known["version"], known["input"]) == ("fold-onnx", 1, "waveform")
    assert (known["sample_rate"], known["num_mels"], known["frame_seconds"]) == (16000, 40, 0.04)
    assert (known["num_layers"], known["max_repeats"], known["deepest"]) == (2, [2, 3], 5)
    assert known["depths"] == {"2": [1, 1], "3": [1, 2], "4": [2, 2], "5": [2, 3]}
    for index, unit in enumerate(known["units"][2:-1], start=2):
        assert description.units.decode([index]) == unit.strip()
    assert len(known["units"]) == len(description.units) and known["units"][0] == "<blank>"
    assert (known["joiner"], known["space"]) == ("characters", " ")


def test_a_byte_that_changed_is_told(exported: Exported, tmp_path: Path) -> None:
    folder = tmp_path / "device"
    shutil.copytree(exported.folder, folder)
    for precision, stored in fold_device.description.read_description(folder).models.items():
        assert fold_device.load(folder, precision).transcribe(np.zeros(RATE, np.float32)).seconds == 1
        for name in (stored.file, stored.data):
            content = (folder / name).read_bytes()
            (folder / name).write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
            with pytest.raises(fold_device.DeviceError, match="damaged: the checksum"):
                fold_device.load(folder, precision)
            (folder / name).write_bytes(content)


def test_the_canonical_path_of_a_depth_is_the_one_that_pytorch_takes() -> None:
    description = describe(conformer(num_layers=3), PathSpace(3, 3, 7))
    depths = describe_json(description)["depths"]
    assert list(depths) == list(description.space.depths)
    for depth, repeats in depths.items():
        assert description.space.canonical(depth).layers == tuple(i for i, n in enumerate(repeats) for _ in range(n))


def test_pieces_join_as_sentencepiece_does() -> None:
    units = SentencePieceUnits.train(["the tent is there", "there is the tenth tent"] * 9, vocab_size=14)
    known = describe_units(units)
    encoded = units.encode("there is a tent")
    text = "".join(known["units"][index] for index in encoded).replace(known["space"], " ").strip()
    assert text == units.decode(encoded)
    assert len(known["units"]) == len(units)


@pytest.mark.parametrize("units", [CharUnits(["a", "b", " "]), CharUnits(["t", "tʃ", "eʊ"], separator=" ")])
def test_characters_and_phonemes_join(units: CharUnits) -> None:
    known = describe_units(units)
    for ids in ([2, 3, 1, 4, 2], [3], [4, 4, 2, 1]):
        assert "".join(known["units"][index] for index in ids).strip() == units.decode(ids)


def test_the_example_of_the_page_transcribes(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (REPOSITORY / "docs" / "devices.md").read_text()
    example = re.findall(r"```python\n(.*?)```", page, re.S)[0]
    assert '["depths"]["6"]' in example
    shutil.copytree(exported.folder, tmp_path / "device")
    waveforms, num_samples = noise(RATE)
    soundfile.write(tmp_path / "a.wav", waveforms[0].numpy(), RATE, subtype="FLOAT")
    monkeypatch.chdir(tmp_path)
    exec(compile(example.replace('["6"]', '["5"]'), "docs/devices.md", "exec"), {})
    log_probs = run(exported.session("int8"), waveforms, num_samples, [2, 3])[0]
    [units] = ctc_greedy(torch.from_numpy(log_probs)[None], torch.tensor([len(log_probs)]))
    assert capsys.readouterr().out.strip() == exported.description.units.decode(units).strip()


@pytest.mark.slow
def test_the_command_says_one_line(tmp_path: Path) -> None:
    checkpoint(tmp_path / "last.ckpt", describe(conformer(num_layers=1)))
    command = ["export", "--to=onnx", "--ckpt_path=last.ckpt", "--output=out", "--storage=[fp32,fp16,int8,int4]"]
    code = f"import sys; from fold.cli import main; sys.exit(main({command}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"out: depths 1 to 2, fp32 [\d.]+ MB, fp16 .*, int8 .*, int4 [\d.]+ MB\n", done.stdout)


REFUSED = {
    "a depth": (["--to=onnx", "--depth=3"], "no setting 'depth'"),
    "a storage": (["--to=huggingface", "--storage=int8"], "no setting 'storage'"),
    "no target": ([], "missing: to"),
    "an unknown target": (["--to=tflite"], "--to=tflite: no such target; there are onnx"),
    "an unknown storage": (["--to=onnx", "--storage=int2"], "storage"),
    "a Conformer for transformers": (["--to=huggingface"], "holds a Conformer"),
    "a folder that is a file": (["--to=onnx", "--output=taken", "--storage=fp32"], "taken"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_are_one_line(
    case: str, fold_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, named = REFUSED[case]
    (tmp_path / "taken").touch()
    checkpoint(tmp_path / "last.ckpt", describe(conformer()))
    monkeypatch.setattr("fold.export.onnx.folder.elastic_graph", lambda *_: None)
    done = fold_command("export", "--ckpt_path=last.ckpt", *arguments, check=False)
    assert done.status == 2 and named in done.stderr and len(done.stderr.splitlines()) == 1


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    checkpoint(tmp_path / "last.ckpt", describe(conformer()))
    command = ["export", "--to=onnx", "--ckpt_path=last.ckpt"]
    code = f"import sys; sys.modules['onnx_ir'] = None; from fold.cli import main; sys.exit(main({command}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and "pip install 'fold-asr[onnx]'" in done.stderr and done.stderr.count("\n") == 1


def test_what_pytorch_cannot_export_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("no ONNX function for <op>\nand much more") from ValueError("the cause\nof many lines")

    monkeypatch.setattr("fold.export.onnx.folder.trace", fails)
    description = describe(conformer())
    with pytest.raises(FoldError) as raised:
        write_folder(tmp_path, description.build(), description, ["fp32"], "waveform")
    assert str(raised.value) == "export: PyTorch cannot export this Conformer (RuntimeError: the cause)"


def test_repeats_that_differ_cannot_be_exported() -> None:
    class Adapted(Unfolding):
        def layer_at(self, layer: int, repeat: int):
            return self.layers[layer]

    model = describe(conformer()).build()
    model.unfolding = Adapted(model.unfolding.layers)
    with pytest.raises(FoldError, match="Adapted gives repeats of a layer something of their own"):
        from_waveforms(model)


def test_units_without_texts_are_refused() -> None:
    class Phones(CharUnits):
        pass

    assert describe_units(Phones("ab"))["joiner"] == "characters"
    with pytest.raises(FoldError, match="units of kind int"):
        describe_units(3)

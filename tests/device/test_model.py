"""An exported folder is recognised at any depth; whatever is wrong with it is one line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from stub_export import FRAME, RATE, change, saying

import fold_device
from fold_device.cutting import Utterances
from fold_device.errors import DeviceError

Wav = Callable[..., Path]


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_depth_is_chosen_at_each_call(exported: Path, precision: str) -> None:
    model = fold_device.load(exported, precision)
    assert model.depths == (2, 3, 4)
    for depth, repeats in ((2, [1, 1]), (3, [2, 1]), (4, [2, 2])):
        samples = saying("lights on", depth)
        assert model.transcribe(samples, depth=depth).text == "lights on"
        assert model.transcribe(samples, repeats=repeats).text == "lights on"
    assert model.transcribe(saying("lights on", 4)).text == "lights on"  # the deepest unless told otherwise
    assert model.transcribe(saying("lights on", 2), depth=4).text != "lights on"


def test_words_have_times_and_confidences(exported: Path) -> None:
    samples = np.concatenate([np.full(5 * FRAME, 0.001, np.float32), saying("it is on")])
    said = fold_device.load(exported).transcribe(samples, depth=2)
    assert [word.text for word in said.words] == ["it", "is", "on"]
    # Units take three frames each, of which the last is blank: "it" is heard from frame 5 to 9, "is" from 14 to 18.
    assert [(word.start, word.end) for word in said.words] == [
        (pytest.approx(0.02 * first), pytest.approx(0.02 * end)) for first, end in ((5, 10), (14, 19), (23, 28))
    ]
    assert all(0.99 < word.confidence <= 1 for word in said.words)
    assert said.seconds == pytest.approx(len(samples) / RATE)


def test_doubt_shows_in_the_confidence(exported: Path) -> None:
    model = fold_device.load(exported)
    sure, between = (model.transcribe(saying("it on") * share, depth=2) for share in (1.0, 1.02))
    assert between.text == sure.text
    assert between.words[0].confidence < sure.words[0].confidence


@pytest.mark.parametrize("num_samples", [0, 1, FRAME - 1])
def test_next_to_no_audio_says_nothing(exported: Path, num_samples: int) -> None:
    said = fold_device.load(exported).transcribe(np.full(num_samples, 0.2, np.float32))
    assert (said.text, said.words) == ("", ())


def test_long_audio_is_cut_at_pauses_and_keeps_its_times(exported: Path, wav: Wav) -> None:
    phrase = saying("turn it on ", pause=0.8)
    file = wav("long.wav", np.tile(phrase, 40))
    said = fold_device.load(exported).transcribe(file, depth=2, longest=5.0)
    assert said.text == " ".join(["turn it on"] * 40)
    starts = [word.start for word in said.words if word.text == "turn"]
    expected = np.arange(40) * len(phrase) / RATE
    assert np.abs(np.array(starts) - expected).max() < 0.05
    whole = fold_device.load(exported).transcribe(file, depth=2, pause=1.0, longest=1000.0)
    assert whole.text == said.text


@pytest.mark.parametrize("depth", [2, 3, 4])
@pytest.mark.parametrize("number", [1, 2, 4, 10])
def test_joined_sentences_are_recognised_one_by_one(exported: Path, number: int, depth: int) -> None:
    texts, random = ["lights on", "turn it off", "wake me at nine"] * 4, np.random.default_rng(number)
    samples = np.concatenate([saying(text, depth, random.integers(15, 50) * FRAME / RATE) for text in texts[:number]])
    model = fold_device.load(exported)
    repeats = model.description.choose(depth)
    assert [said.text for said in model.pieces(Utterances(RATE)([samples]), repeats)] == texts[:number]
    assert model.transcribe(samples, depth).text == " ".join(texts[:number])


@pytest.mark.parametrize("level", [0.0, 0.001, 0.1])
def test_silence_and_noise_say_nothing(exported: Path, level: float) -> None:
    samples = level * np.random.default_rng(0).standard_normal(5 * RATE)
    said = fold_device.load(exported).transcribe(samples)
    assert (said.text, said.words, said.seconds) == ("", (), 5.0)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"depth": 5}, "depth 5: this model has depths 2, 3, 4"),
        ({"repeats": [1]}, "repeats 1: this model runs its 2 layers"),
        ({"repeats": [0, 1]}, "repeats 0,1"),
        ({"repeats": [1, 3]}, "repeats 1,3"),
        ({"depth": 2, "repeats": [1, 1]}, "exclude each other"),
        ({"pause": 0}, "pauses of 0 s"),
        ({"longest": 0}, "utterances of 0 s"),
    ],
)
def test_a_wrong_choice_is_one_line(exported: Path, options: dict, named: str) -> None:
    with pytest.raises(DeviceError, match=named) as raised:
        fold_device.load(exported).transcribe(np.zeros(RATE, np.float32), **options)
    assert "\n" not in str(raised.value)


def test_repeats_together_are_limited_too(exported: Path) -> None:
    change(exported, ["deepest"], 3)
    change(exported, ["depths"], {"2": [1, 1]})
    with pytest.raises(DeviceError, match="3 times together"):
        fold_device.load(exported).transcribe(np.zeros(RATE, np.float32), repeats=[2, 2])


def _garbage(folder: Path) -> None:
    (folder / "model.int8.onnx").write_bytes(b"\x00" * (folder / "model.int8.onnx").stat().st_size)
    change(folder, ["models", "int8", "crc32"], None)


def _flipped(folder: Path) -> None:
    content = bytearray((folder / "model.onnx.data").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.onnx.data").write_bytes(content)


def _cut(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-100])


def _foreign(folder: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "foreign", ports[:1], ports[1:])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        folder / "model.int8.onnx",
    )
    change(folder, ["models", "int8", "bytes"], (folder / "model.int8.onnx").stat().st_size)
    change(folder, ["models", "int8", "crc32"], None)


@pytest.mark.parametrize(
    ("damage", "precision", "named"),
    [
        (_garbage, "int8", "model.int8.onnx: not a model that ONNX Runtime loads"),
        (_flipped, "fp32", "model.onnx.data: damaged: the checksum"),
        (_cut("model.int8.onnx"), "int8", "model.int8.onnx: damaged"),
        (_cut("model.onnx.data"), "fp32", "model.onnx.data: damaged"),
        (lambda folder: (folder / "model.onnx.data").unlink(), "fp32", "model.onnx.data: no such file"),
        (_foreign, "int8", "takes x and gives y"),
        (lambda folder: (folder / "model.json").unlink(), None, "no model.json in it"),
        (lambda folder: (folder / "model.json").write_text("{"), None, "damaged, or no JSON"),
        (lambda folder: (folder / "model.json").write_text("[]"), None, "not of the format fold-onnx"),
        (lambda folder: change(folder, ["format"], "other"), None, "not of the format fold-onnx"),
        (lambda folder: change(folder, ["version"], 2), None, "version 2"),
        (lambda folder: change(folder, ["input"], "features"), None, "export it with `--input waveform`"),
        (lambda folder: change(folder, ["joiner"], "glue"), None, "joiner is 'glue'"),
        (lambda folder: change(folder, ["depths", "3"], [1, 1]), None, "depth 3 is given as repeats 1,1"),
        (lambda folder: change(folder, ["depths"], {}), None, "at least one depth"),
        (lambda folder: change(folder, ["sample_rate"], "fast"), None, "model.json: "),
        (lambda folder: change(folder, ["units"], ["a"]), "int8", "names 1"),
        (lambda folder: None, "int4", "precision int4: .* holds fp32, int8"),
    ],
)
def test_a_bad_folder_is_one_line(
    exported: Path, damage: Callable[[Path], None], precision: str | None, named: str
) -> None:
    damage(exported)
    with pytest.raises(DeviceError, match=named) as raised:
        fold_device.load(exported, precision).transcribe(saying("on"))
    assert "\n" not in str(raised.value)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="nowhere: no such folder; expected a folder that `fold export"):
        fold_device.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("samples", "named"),
    [
        (np.zeros((2, 10)), "expected one channel"),
        (np.array([0, np.nan]), "not finite"),
        (np.array([0, 9]), "samples of int64"),
    ],
)
def test_odd_samples_are_one_line(exported: Path, samples: np.ndarray, named: str) -> None:
    with pytest.raises(DeviceError, match=named):
        fold_device.load(exported).transcribe(samples)

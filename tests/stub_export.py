"""A tiny exported folder whose model can be predicted: each 0.02 s of a square wave says one unit.

Level u / 64 says unit u at the seed, and unit u * depth / 2 at any other depth of its two layers; level 0 is the blank.
"""

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

RATE = 16000
FRAME = 320
WAVE = np.repeat([1.0, -1.0], 32)  # one period
QUIET = 0.002  # the level of blanks: a room is never silent
UNITS = ["<blank>", "⁇", " ", *"abcdefghijklmnopqrstuvwxyz", "<sos/eos>"]


def _graph() -> onnx.ModelProto:
    def constant(name: str, values: Any, kind: Any = np.float32) -> onnx.TensorProto:
        return numpy_helper.from_array(np.array(values, kind), name)

    constants = [
        constant("mean", np.full((1, 1, FRAME), 1 / FRAME)),
        constant("units", np.arange(len(UNITS))),
        constant("padding", [0, 0, 0, 0, 0, FRAME], np.int64),
        constant("channel", [1], np.int64),
        constant("last", [2], np.int64),
        constant("layers", 2),
        constant("scale", 64),
        constant("slope", -8),
        constant("frame", FRAME, np.int64),
    ]
    nodes = [
        helper.make_node("Unsqueeze", ["waveforms", "channel"], ["channels"]),
        helper.make_node("Abs", ["channels"], ["heights"]),
        helper.make_node("Pad", ["heights", "padding"], ["padded"]),
        helper.make_node("Conv", ["padded", "mean"], ["levels"], strides=[FRAME]),
        helper.make_node("Squeeze", ["levels", "channel"], ["flat"]),
        helper.make_node("Unsqueeze", ["flat", "last"], ["level"]),
        helper.make_node("ReduceSum", ["repeats"], ["depth"], keepdims=0),
        helper.make_node("Cast", ["depth"], ["calls"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["calls", "layers"], ["share"]),
        helper.make_node("Mul", ["level", "scale"], ["said"]),
        helper.make_node("Mul", ["said", "share"], ["meant"]),
        helper.make_node("Sub", ["meant", "units"], ["off"]),
        helper.make_node("Mul", ["off", "off"], ["square"]),
        helper.make_node("Mul", ["square", "slope"], ["logits"]),
        helper.make_node("LogSoftmax", ["logits"], ["log_probs"], axis=2),
        helper.make_node("Div", ["num_samples", "frame"], ["num_frames"]),
    ]
    inputs = [
        helper.make_tensor_value_info("waveforms", TensorProto.FLOAT, ["batch", "samples"]),
        helper.make_tensor_value_info("num_samples", TensorProto.INT64, ["batch"]),
        helper.make_tensor_value_info("repeats", TensorProto.INT64, [2]),
    ]
    outputs = [
        helper.make_tensor_value_info("log_probs", TensorProto.FLOAT, ["batch", "frames", len(UNITS)]),
        helper.make_tensor_value_info("num_frames", TensorProto.INT64, ["batch"]),
    ]
    graph = helper.make_graph(nodes, "stub", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def write_stub(folder: Path) -> Path:
    """Writes the folder: fp32 with external weights, int8 (the same numbers) in one file."""
    folder.mkdir(parents=True, exist_ok=True)
    external = {"save_as_external_data": True, "location": "model.onnx.data", "size_threshold": 1000}
    onnx.save(_graph(), folder / "model.onnx", **external)
    onnx.save(_graph(), folder / "model.int8.onnx")
    fp32, int8 = (
        [folder / name for name in names] for names in (("model.onnx", "model.onnx.data"), ("model.int8.onnx",))
    )
    description = {
        "format": "fold-onnx",
        "version": 1,
        "fold_version": "0.1.0",
        "sample_rate": RATE,
        "num_mels": 80,
        "frame_seconds": FRAME / RATE,
        "units": UNITS,
        "joiner": "characters",
        "num_layers": 2,
        "max_repeats": [2, 2],
        "depths": {"2": [1, 1], "3": [1, 2], "4": [2, 2]},
        "deepest": 4,
        "input": "waveform",
        "models": {"fp32": _stored(*fp32), "int8": _stored(*int8)},
    }
    (folder / "model.json").write_text(json.dumps(description))
    return folder


def _stored(file: Path, data: Path | None = None) -> dict[str, Any]:
    content = file.read_bytes() + (data.read_bytes() if data else b"")
    name = data.name if data else None
    return {"file": file.name, "data": name, "bytes": len(content), "crc32": zlib.crc32(content)}


def saying(text: str, depth: int = 2, pause: float = 0.1) -> np.ndarray:
    """Samples that make the stub say a text at a depth, each unit for two frames and a blank one after it.

    pause: seconds of quiet after the text.
    """
    frames: list[float] = []
    for character in text:
        frames += [UNITS.index(character) / 64 * 2 / depth] * 2 + [QUIET]
    levels = np.concatenate([np.repeat(frames, FRAME), np.full(round(pause * RATE), QUIET)])
    return (levels * np.resize(WAVE, len(levels))).astype(np.float32)


def change(folder: Path, keys: Sequence[str], value: Any) -> None:
    """Changes the description of a folder."""
    file = folder / "model.json"
    whole = inner = json.loads(file.read_text())
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    file.write_text(json.dumps(whole))

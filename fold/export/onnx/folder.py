"""Writes exported models: graphs with their weights beside them, and the JSON that describes them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import onnx_ir as ir
import torch

from fold.errors import FoldError
from fold.export.onnx.description import describe, num_mels
from fold.export.onnx.graph import stripped, trace
from fold.export.onnx.network import from_features, from_waveforms
from fold.export.onnx.storage import Storage, stored
from fold.models.asr import Recogniser

if TYPE_CHECKING:
    from fold.checkpoint import Description

Input = Literal["waveform", "features"]
DESCRIPTION = "model.json"
DIMS: dict[Input, dict[str, tuple[str, ...]]] = {
    "waveform": {"waveforms": ("batch", "samples"), "num_samples": ("batch",), "repeats": ()},
    "features": {"features": ("batch", "input_frames"), "num_frames_in": ("batch",), "repeats": ()},
}


def write_folder(
    folder: Path, model: Recogniser, description: Description, storages: Sequence[Storage], input: Input
) -> dict[str, Any]:
    """Writes a graph, its weights and a JSON for each way of storing weights. Returns what the JSON holds.

    Raises FoldError if the model cannot be exported, or the folder cannot be written.
    """
    graph = elastic_graph(model, description, input)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files = {storage: _write(folder, stored(graph, storage), storage) for storage in storages}
        known = {**describe(description), "input": input, "models": files}
        (folder / DESCRIPTION).write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise FoldError(f"export: {folder} cannot be written ({error})") from None
    return known


def elastic_graph(model: Recogniser, description: Description, input: Input) -> ir.Model:
    """The graph whose last input is how often each layer runs; shapes and types are still in it.

    Raises FoldError if the model cannot be exported.
    """
    network = from_waveforms(model) if input == "waveform" else from_features(model)
    try:
        return trace(network, _examples(description, input), DIMS[input])
    except Exception as error:  # of PyTorch's exporter, which has no one kind
        kind = type(description.architecture).__name__
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise FoldError(f"export: PyTorch cannot export this {kind} ({type(error).__name__}: {reason})") from error


def _examples(description: Description, input: Input) -> dict[str, torch.Tensor]:
    """Two sounds of a second, or their filterbanks."""
    samples = description.sample_rate
    sound = torch.zeros(2, samples)
    if input == "features":
        sound = torch.zeros(2, 100, num_mels(description.architecture) or 1)
    lengths = torch.tensor([sound.shape[1], sound.shape[1]])
    repeats = torch.ones(description.space.num_layers, dtype=torch.int64)
    return dict(zip(DIMS[input], (sound, lengths, repeats), strict=True))


def file_name(storage: Storage) -> str:
    """The name of a graph whose weights are stored so."""
    return "model.onnx" if storage == "fp32" else f"model.{storage}.onnx"


def _write(folder: Path, graph: ir.Model, storage: Storage) -> dict[str, Any]:
    """Writes a graph and its weights. Returns their names, and bytes and checksum of both, one after the other."""
    name = file_name(storage)
    ir.save(stripped(graph), folder / name, external_data=f"{name}.data")
    size, crc32 = 0, 0
    for file in (folder / name, folder / f"{name}.data"):
        content = file.read_bytes()
        size, crc32 = size + len(content), zlib.crc32(content, crc32)
    return {"file": name, "data": f"{name}.data", "bytes": size, "crc32": crc32}

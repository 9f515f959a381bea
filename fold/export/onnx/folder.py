"""Writes exported models: graphs with their weights beside them, and the JSON that describes them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import onnx_ir as ir
import torch
from torch import nn

from fold.errors import FoldError
from fold.export.onnx.decoder import PrefixDecoder
from fold.export.onnx.description import describe, num_mels
from fold.export.onnx.graph import Dims, stripped, trace
from fold.export.onnx.network import CTC, HYBRID, from_features, from_waveforms
from fold.export.onnx.storage import Storage, stored
from fold.models.asr import Recogniser
from fold.modules.decoder import AttentionDecoder

if TYPE_CHECKING:
    from fold.checkpoint import Description

Input = Literal["waveform", "features"]
DESCRIPTION = "model.json"
STEMS = {"models": "model", "decoders": "decoder"}  # of files, by what the description calls them
DIMS: dict[Input, Dims] = {
    "waveform": {"waveforms": ("batch", "samples"), "num_samples": ("batch",), "repeats": ()},
    "features": {"features": ("batch", "input_frames"), "num_frames_in": ("batch",), "repeats": ()},
}
OUTPUTS: Dims = {
    "log_probs": ("batch", "frames"),
    "num_frames": ("batch",),
    "encoded": ("batch", "frames"),
    "next_log_probs": ("batch", "length"),
}
OF_DECODER: Dims = {"prefixes": ("batch", "length"), "encoded": ("batch", "frames"), "num_frames": ("batch",)}


def write_folder(
    folder: Path, model: Recogniser, description: Description, storages: Sequence[Storage], input: Input
) -> dict[str, Any]:
    """Writes a graph and its weights for each way of storing weights, of a hybrid model those of its decoder too, and a
    JSON. Returns what the JSON holds.

    Raises FoldError if the model cannot be exported, or the folder cannot be written.
    """
    if model.decoder is None:
        graphs = {"models": elastic_graph(model, description, input)}
    else:
        encoder = elastic_graph(model, description, input, HYBRID)
        graphs = {"models": encoder, "decoders": decoder_graph(model.decoder, description)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files = {
            part: {
                storage: _write(folder, stored(graph, storage), file_name(storage, STEMS[part])) for storage in storages
            }
            for part, graph in graphs.items()
        }
        known = {**describe(description), "input": input, **files}
        (folder / DESCRIPTION).write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise FoldError(f"export: {folder} cannot be written ({error})") from None
    return known


def elastic_graph(model: Recogniser, description: Description, input: Input, outputs: Sequence[str] = CTC) -> ir.Model:
    """The graph whose last input is how often each layer runs; shapes and types are still in it.

    Raises FoldError if the model cannot be exported.
    """
    network = from_waveforms(model, outputs) if input == "waveform" else from_features(model, outputs)
    return _traced(network, _examples(description, input), DIMS[input], outputs, description)


def decoder_graph(decoder: AttentionDecoder, description: Description) -> ir.Model:
    """The graph of a hybrid model's decoder. Raises FoldError if it cannot be exported."""
    encoded = torch.zeros(2, 25, decoder.output.in_features)
    examples = (torch.zeros(2, 3, dtype=torch.int64), encoded, torch.tensor([25, 25]))
    given = dict(zip(OF_DECODER, examples, strict=True))
    network = PrefixDecoder(decoder).eval()
    return _traced(network, given, OF_DECODER, ("next_log_probs",), description)


def _traced(
    network: nn.Module, given: dict[str, torch.Tensor], dims: Dims, outputs: Sequence[str], description: Description
) -> ir.Model:
    try:
        return trace(network, given, dims, {name: OUTPUTS[name] for name in outputs})
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


def file_name(storage: Storage, stem: str = "model") -> str:
    """The name of a graph whose weights are stored so."""
    return f"{stem}.onnx" if storage == "fp32" else f"{stem}.{storage}.onnx"


def _write(folder: Path, graph: ir.Model, name: str) -> dict[str, Any]:
    """Writes a graph and its weights. Returns their names, and bytes and checksum of both, one after the other."""
    ir.save(stripped(graph), folder / name, external_data=f"{name}.data")
    size, crc32 = 0, 0
    for file in (folder / name, folder / f"{name}.data"):
        content = file.read_bytes()
        size, crc32 = size + len(content), zlib.crc32(content, crc32)
    return {"file": name, "data": f"{name}.data", "bytes": size, "crc32": crc32}

"""Models for onnx-asr, in the layout that it calls wav2vec2-ctc: waveforms in, log-probabilities out, no filterbanks.

Any model of waveforms at 16 kHz fits, a Conformer with its own filterbanks in the graph too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

from fold.errors import FoldError
from fold.export.onnx.baked import bake
from fold.export.onnx.description import SENTENCEPIECE_SPACE, describe_units, frame_samples
from fold.export.onnx.folder import elastic_graph, file_name
from fold.export.onnx.graph import stripped
from fold.export.onnx.storage import Storage, stored
from fold.models.asr import Recogniser
from fold.paths import Path as LayerPath
from fold.text.units import Units

if TYPE_CHECKING:
    from fold.checkpoint import Description

VOCABULARY, CONFIG = "vocab.txt", "config.json"
SAMPLE_RATE = 16000  # Hz, to which it brings all sound
BLANK, SILENT = "<blk>", ""
NAMES = {"waveforms": "input_values", "num_samples": "input_lengths"}  # of inputs, ours and its
NEVER = -1e4  # the log-probability of what is not to be said


def write_onnx_asr(
    folder: Path, model: Recogniser, description: Description, storages: Sequence[Storage], path: LayerPath
) -> list[Path]:
    """Writes a graph with its depth in it, for each way of storing weights, its units and its settings.

    Returns the graphs' files. Raises FoldError if the layout cannot hold the model, it cannot be exported, or the
    folder cannot be written.
    """
    if description.sample_rate != SAMPLE_RATE:
        raise FoldError(f"export: onnx-asr hears {SAMPLE_RATE} Hz, this model {description.sample_rate}")
    vocabulary = vocabulary_lines(description.units)
    samples = frame_samples(description.architecture, description.sample_rate)
    config = {"model_type": "wav2vec2-ctc", "subsampling_factor": samples}
    graph = elastic_graph(model, description, "waveform")
    files = [folder / file_name(storage) for storage in storages]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / VOCABULARY).write_text(vocabulary, encoding="utf-8")
        (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
        for file, storage in zip(files, storages, strict=True):
            baked = bake(stripped(stored(graph, storage)), description.space, path)
            _rename(baked)
            ir.save(baked, file, external_data=f"{file.name}.data")
    except OSError as error:
        raise FoldError(f"export: {folder} cannot be written ({error})") from None
    return files


def vocabulary_lines(units: Units) -> str:
    """A line per unit: its text, in which a space is written as SentencePiece does, and its index.

    Raises FoldError if a unit is that sign, or breaks lines.
    """
    known = describe_units(units)
    refused = "\r\n" if known["space"] == SENTENCEPIECE_SPACE else f"\r\n{SENTENCEPIECE_SPACE}"
    for text in known["units"]:
        if set(text) & set(refused):
            raise FoldError(f"export: onnx-asr's {VOCABULARY} cannot hold the unit {text!r}")
    texts = [BLANK, *(text.replace(" ", SENTENCEPIECE_SPACE) for text in known["units"][1:-1]), SILENT]
    return "".join(f"{text} {index}\n" for index, text in enumerate(texts))


def _rename(model: ir.Model) -> None:
    """Gives inputs and outputs onnx-asr's names. It takes a frame too many of sounds that were padded, so what lies
    behind the end of a sound becomes blank."""
    graph = model.graph
    for value in graph.inputs:
        value.name = NAMES[str(value.name)]
    log_probs, num_frames = graph.outputs
    assert log_probs.shape is not None and isinstance(log_probs.shape[2], int)  # as `trace` wrote it
    nodes: list[ir.Node] = []

    def add(kind: str, *inputs: ir.Value, **attributes: Any) -> ir.Value:
        nodes.append(ir.node(kind, inputs, attributes, name=f"{kind}_behind_{len(nodes)}"))
        return nodes[-1].outputs[0]

    def constant(value: Any) -> ir.Value:
        return add("Constant", value=ir.tensor(np.array(value)))

    number = add("Squeeze", add("Shape", log_probs, start=1, end=2))
    frames = add("Range", constant(0), number, constant(1))
    counts = add("Less", frames, add("Unsqueeze", num_frames, constant([-1])))
    blank = np.where(np.arange(log_probs.shape[2]) == 0, 0, NEVER).astype(np.float32)
    result = add("Where", add("Unsqueeze", counts, constant([-1])), log_probs, constant(blank))
    result.name, result.shape, result.type = "logprobs", log_probs.shape, log_probs.type
    graph.extend(nodes)
    graph.outputs[:] = [result]

"""Models for sherpa-onnx, which loads them as FireRedASR's CTC models: it computes the same filterbanks for them.

Other kinds of models that sherpa-onnx knows are no substitute: they get other filterbanks, or waveforms brought to one
loudness, which the log floor of silence shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import onnx_ir as ir

from fold.errors import FoldError
from fold.export.onnx.baked import bake
from fold.export.onnx.description import describe_units, frame_samples, num_mels
from fold.export.onnx.folder import elastic_graph, file_name
from fold.export.onnx.graph import stripped
from fold.export.onnx.storage import Storage, stored
from fold.models.asr import Recogniser
from fold.paths import Path as LayerPath
from fold.text.normalise import UNKNOWN_TEXT
from fold.text.units import Units

if TYPE_CHECKING:
    from fold.checkpoint import Description

TOKENS = "tokens.txt"
SAMPLE_RATE = 16000  # Hz, of all its filterbanks
END = "</s>"  # a name that sherpa-onnx leaves out of transcripts


def write_sherpa(
    folder: Path, model: Recogniser, description: Description, storages: Sequence[Storage], path: LayerPath
) -> list[Path]:
    """Writes a model of one file, with its depth in it, for each way of storing weights, and its tokens.

    Returns the models' files. Raises FoldError if the model cannot be exported, or the folder cannot be written.
    """
    if description.sample_rate != SAMPLE_RATE:
        raise FoldError(f"export: sherpa-onnx hears {SAMPLE_RATE} Hz, this model {description.sample_rate}")
    graph = elastic_graph(model, description, "features")
    files = [folder / file_name(storage) for storage in storages]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / TOKENS).write_text(token_lines(description.units), encoding="utf-8")
        for file, storage in zip(files, storages, strict=True):
            baked = bake(stripped(stored(graph, storage)), description.space, path)
            baked.metadata_props.update(_metadata(description))
            ir.save(baked, file)
    except OSError as error:
        raise FoldError(f"export: {folder} cannot be written ({error})") from None
    return files


def token_lines(units: Units) -> str:
    """A line per unit: its text and its index. sherpa-onnx takes a line with only an index for that of the space."""
    texts = describe_units(units)["units"]
    texts = [texts[0], UNKNOWN_TEXT, *texts[2:-1], END]
    return "".join(f"{text} {index}\n" for index, text in enumerate(texts))


def _metadata(description: Description) -> dict[str, str]:
    """What makes sherpa-onnx take a file for a CTC model of FireRedASR, and leave its filterbanks as they are."""
    bins = num_mels(description.architecture) or 0
    shift = description.sample_rate // 100  # of filterbanks: 10 ms
    return {
        "model_type": "fire-red-asr-2-ctc",
        "subsampling_factor": str(frame_samples(description.architecture, description.sample_rate) // shift),
        "cmvn_mean": ",".join(["0"] * bins),
        "cmvn_inv_stddev": ",".join(["1"] * bins),
    }

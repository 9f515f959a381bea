"""What `fold export` writes: a function for each target.

It takes the folder, the model and its description; what else it takes are the settings of `fold export --to NAME`. It
returns what to say of the folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from fold.checkpoint import Description
from fold.errors import FoldError
from fold.export import onnx_module
from fold.models import Foundation, Recogniser

Storage = Literal["fp32", "fp16", "int8", "int4"]


def onnx(
    folder: Path,
    model: Recogniser,
    description: Description,
    storage: Storage | list[Storage] = "int8",
    input: Literal["waveform", "features"] = "waveform",
) -> str:
    """Writes one graph that runs every depth, each weight in it once, with a JSON beside it.

    Args:
        folder: to write into.
        model: to write.
        description: of the model.
        storage: How weights are stored, one way or several: fp32; fp16, half of it; int8, under a third; int4, a fifth.
        input: What the graph takes: waveforms, or filterbanks that the runtime computes.
    """
    known = onnx_module("folder").write_folder(folder, model, description, _each(storage), input)
    _tell_of_decoder(model)
    sizes = ", ".join(f"{storage} {files['bytes'] / 1e6:.2f} MB" for storage, files in known["models"].items())
    return f"depths {description.space.depths[0]} to {description.space.depths[-1]}, {sizes}"


def sherpa(
    folder: Path,
    model: Recogniser,
    description: Description,
    storage: Storage | list[Storage] = "int8",
    depth: int | None = None,
    path: str | None = None,
) -> str:
    """Writes a model for sherpa-onnx, its depth fixed in the file (`fold set-depth` changes it).

    Args:
        folder: to write into.
        model: to write.
        description: of the model.
        storage: How weights are stored, one way or several: fp32; fp16, half of it; int8, under a third; int4, a fifth.
        depth: Executed depth, along its canonical path; by default the deepest.
        path: An unfolding path such as 1-1-2-3, instead of a depth.
    """
    chosen = description.space.choose(depth, path)
    files = onnx_module("sherpa").write_sherpa(folder, model, description, _each(storage), chosen)
    _tell_of_decoder(model)
    bins = onnx_module("description").num_mels(description.architecture)
    return f"{', '.join(file.name for file in files)}: path {chosen}, depth {chosen.depth}, {bins} mel bins"


def onnx_asr(
    folder: Path,
    model: Recogniser,
    description: Description,
    storage: Storage | list[Storage] = "int8",
    depth: int | None = None,
    path: str | None = None,
) -> str:
    """Writes a model for onnx-asr, as its wav2vec2-ctc, its depth fixed in the file (`fold set-depth` changes it).

    Args:
        folder: to write into.
        model: to write.
        description: of the model.
        storage: How weights are stored, one way or several: fp32; fp16, half of it; int8, under a third; int4, a fifth.
        depth: Executed depth, along its canonical path; by default the deepest.
        path: An unfolding path such as 1-1-2-3, instead of a depth.
    """
    chosen = description.space.choose(depth, path)
    files = onnx_module("onnx_asr").write_onnx_asr(folder, model, description, _each(storage), chosen)
    _tell_of_decoder(model)
    return f"{', '.join(file.name for file in files)}: path {chosen}, depth {chosen.depth}"


def huggingface(
    folder: Path, model: Recogniser, description: Description, depth: int | None = None, path: str | None = None
) -> str:
    """Writes a foundation model at one depth, for transformers.

    Args:
        folder: to write into.
        model: to write.
        description: of the model.
        depth: Executed depth, along its canonical path; by default the deepest.
        path: An unfolding path such as 1-1-2-3, instead of a depth.
    """
    from fold.export.huggingface import unlike_theirs, write_directory

    if not isinstance(description.architecture, Foundation):
        kind = type(description.architecture).__name__
        raise FoldError(
            f"--to=huggingface: the checkpoint holds a {kind}; only foundation models can be exported to transformers"
        )
    chosen = description.space.choose(depth, path)
    write_directory(folder, model, description, chosen)
    for told in unlike_theirs(description):
        print(told)
    return f"path {chosen}, depth {chosen.depth}"


def _each(storage: Storage | list[Storage]) -> list[Storage]:
    return [storage] if isinstance(storage, str) else list(dict.fromkeys(storage))


def _tell_of_decoder(model: Recogniser) -> None:
    if model.decoder is not None:
        print("the attention decoder is left out: the graph ends at the CTC head")

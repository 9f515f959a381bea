"""`fold export`: a model for runtimes and libraries other than PyTorch and fold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fold import checkpoint
from fold.cli.parser import OneLineErrors
from fold.errors import FoldError
from fold.export import onnx_module
from fold.models import Foundation, Recogniser

if TYPE_CHECKING:
    from fold.checkpoint import Description

Target = Literal["onnx", "sherpa", "huggingface"]
Storage = Literal["fp32", "fp16", "int8", "int4"]
Given = dict[str, Any]  # settings that were given, by name


def run(arguments: list[str]) -> None:
    """Parses the arguments of `export` and calls it."""
    parser = OneLineErrors(prog="fold export", description="A model for runtimes other than PyTorch.")
    parser.add_function_arguments(export)
    export(**parser.instantiate(parser.parse_args(arguments)))


def export(
    to: Target,
    ckpt_path: str,
    output: str | None = None,
    depth: int | None = None,
    path: str | None = None,
    storage: Storage | list[Storage] | None = None,
    input: Literal["waveform", "features"] | None = None,
) -> None:
    """Writes a folder with a model in the form that another library loads.

    Args:
        to: onnx: one graph that runs every depth, each weight in it once, with a JSON beside it; sherpa: for
            sherpa-onnx, its depth fixed in the file (`fold set-depth` changes it); huggingface: a foundation model at
            one depth, for transformers.
        ckpt_path: a checkpoint of `fold fit`.
        output: the folder; by default one named as the target beside the checkpoint's folder.
        depth: executed depth, along its canonical path, of a form that has one; by default the deepest.
        path: an unfolding path such as 1-1-2-3, instead of a depth.
        storage: how weights are stored, one way or several: fp32; fp16, half the bytes; int8, a third; int4, a
            quarter. By default int8.
        input: what the graph takes: waveforms, or filterbanks that the runtime computes. By default waveforms.
    """
    write, takes = TARGETS[to]
    given = {"depth": depth, "path": path, "storage": storage, "input": input}
    given = {name: value for name, value in given.items() if value is not None}
    for name in given:
        if name not in takes:
            raise FoldError(f"--{name} has no meaning for --to={to}; {' and '.join(f'--{t}' for t in takes)} have")
    model, description = checkpoint.load(ckpt_path)
    folder = Path(output) if output else Path(ckpt_path).parent.parent / to
    print(f"{folder}: {write(folder, model, description, given)}")


def _onnx(folder: Path, model: Recogniser, description: Description, given: Given) -> str:
    write_folder = onnx_module("folder").write_folder
    known = write_folder(folder, model, description, _storages(given), given.get("input", "waveform"))
    _tell_of_decoder(model)
    sizes = ", ".join(f"{storage} {files['bytes'] / 1e6:.2f} MB" for storage, files in known["models"].items())
    return f"depths {description.space.depths[0]} to {description.space.depths[-1]}, {sizes}"


def _sherpa(folder: Path, model: Recogniser, description: Description, given: Given) -> str:
    write_sherpa = onnx_module("sherpa").write_sherpa
    chosen = description.space.choose(given.get("depth"), given.get("path"))
    files = write_sherpa(folder, model, description, _storages(given), chosen)
    _tell_of_decoder(model)
    bins = onnx_module("description").num_mels(description.architecture)
    return f"{', '.join(file.name for file in files)}: path {chosen}, depth {chosen.depth}, {bins} mel bins"


def _storages(given: Given) -> list[Storage]:
    storages: Storage | list[Storage] = given.get("storage", "int8")
    return [storages] if isinstance(storages, str) else list(dict.fromkeys(storages))


def _tell_of_decoder(model: Recogniser) -> None:
    if model.decoder is not None:
        print("the attention decoder is left out: the graph ends at the CTC head")


def _huggingface(folder: Path, model: Recogniser, description: Description, given: Given) -> str:
    from fold.export.huggingface import write_directory

    if not isinstance(description.architecture, Foundation):
        kind = type(description.architecture).__name__
        raise FoldError(
            f"--to=huggingface: the checkpoint holds a {kind}; transformers has a format for Foundation alone"
        )
    chosen = description.space.choose(given.get("depth"), given.get("path"))
    write_directory(folder, model, description, chosen)
    return f"path {chosen}, depth {chosen.depth}"


TARGETS: dict[Target, tuple[Callable[[Path, Recogniser, Description, Given], str], tuple[str, ...]]] = {
    "onnx": (_onnx, ("storage", "input")),
    "sherpa": (_sherpa, ("storage", "depth", "path")),
    "huggingface": (_huggingface, ("depth", "path")),
}

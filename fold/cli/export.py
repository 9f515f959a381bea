"""`fold export`: a model for runtimes and libraries other than PyTorch and fold."""

from __future__ import annotations

import argparse
from pathlib import Path

from fold import checkpoint
from fold.cli.offered import Offered
from fold.cli.parser import OneLineErrors
from fold.errors import FoldError

TARGETS = Offered(
    "target",
    "fold.exporters",
    {
        "onnx": ("fold.export.targets:onnx", "one graph that runs every depth, for ONNX runtimes"),
        "sherpa": ("fold.export.targets:sherpa", "for sherpa-onnx, its depth fixed in the file"),
        "onnx-asr": ("fold.export.targets:onnx_asr", "for onnx-asr, its depth fixed in the file"),
        "huggingface": ("fold.export.targets:huggingface", "a foundation model at one depth, for transformers"),
    },
)


def run(arguments: list[str]) -> None:
    """Writes a folder with a model in the form that another library loads, and says what is in it.

    Which settings there are depends on the target: those that its function takes.
    """
    parser = OneLineErrors(prog="fold export", description="A model for runtimes other than PyTorch.")
    told = "; ".join(f"{name}: {text}" for name, text in TARGETS.listed().items())
    parser.add_argument("--to", type=str, required=True, help=f"The target, whose settings --help then shows. {told}.")
    parser.add_argument("--ckpt_path", type=str, required=True, help="A checkpoint of `fold fit`.")
    parser.add_argument(
        "--output", type=str, help="The folder; by default one named as the target, beside the checkpoint's folder."
    )
    to = _target(arguments)
    if to is None:
        parser.parse_args(arguments)  # shows the help, or refuses
        return
    try:
        write = TARGETS.find(to)
    except FoldError as error:
        raise FoldError(f"--to={to}: {error}") from None
    parser.add_function_arguments(write, skip={"folder", "model", "description"})
    settings = parser.instantiate(parser.parse_args(arguments)).as_dict()
    del settings["to"]
    ckpt_path, output = settings.pop("ckpt_path"), settings.pop("output")
    model, description = checkpoint.load(ckpt_path)
    folder = Path(output) if output else Path(ckpt_path).parent.parent / to
    print(f"{folder}: {write(folder, model, description, **settings)}")


def _target(arguments: list[str]) -> str | None:
    """The target among the arguments, if one is given."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    first.add_argument("--to", nargs="?")
    to: str | None = first.parse_known_args(arguments)[0].to
    return to

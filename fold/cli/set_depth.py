"""`fold set-depth`: the depth of a model file that has it fixed."""

from __future__ import annotations

from pathlib import Path

from fold.cli.parser import OneLineErrors
from fold.export import onnx_module


def run(arguments: list[str]) -> None:
    """Parses the arguments of `set_depth` and calls it."""
    parser = OneLineErrors(prog="fold set-depth", description="Changes the depth at which a model file runs.")
    parser.add_argument("file", type=str, help="A model that `fold export --to=sherpa` wrote.")
    parser.add_function_arguments(set_depth, skip={"file"})
    set_depth(**parser.instantiate(parser.parse_args(arguments)))


def set_depth(file: str, depth: int | None = None, path: str | None = None) -> None:
    """Overwrites the few bytes of a file that hold its depth.

    Args:
        file: the model.
        depth: executed depth, along its canonical path; by default the deepest.
        path: an unfolding path such as 1-1-2-3, instead of a depth.
    """
    chosen = onnx_module("baked").change_depth(Path(file), depth, path)
    print(f"{file}: path {chosen}, depth {chosen.depth}")

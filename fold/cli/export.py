"""`fold export`: a folded foundation model at one depth as a Hugging Face directory."""

from __future__ import annotations

from pathlib import Path

from fold import checkpoint
from fold.cli.parser import OneLineErrors
from fold.errors import FoldError
from fold.export.huggingface import write_directory
from fold.models import Foundation


def run(arguments: list[str]) -> None:
    """Parses the arguments of `export` and calls it."""
    parser = OneLineErrors(prog="fold export", description="A foundation model at one depth, for transformers.")
    parser.add_function_arguments(export)
    export(**parser.instantiate(parser.parse_args(arguments)))


def export(ckpt_path: str, depth: int | None = None, path: str | None = None, output: str | None = None) -> None:
    """Writes a directory that transformers loads (Wav2Vec2ForCTC ...): each layer as often as the path runs it.

    Args:
        ckpt_path: a checkpoint of `fold fit`.
        depth: executed depth, along its canonical path; by default the deepest.
        path: an unfolding path such as 1-1-2-3, instead of a depth.
        output: the directory; by default `huggingface` beside the checkpoint's folder.
    """
    model, description = checkpoint.load(ckpt_path)
    if not isinstance(description.architecture, Foundation):
        kind = type(description.architecture).__name__
        raise FoldError(f"checkpoint {ckpt_path}: holds a {kind}; transformers has its own format for Foundation alone")
    chosen = description.space.choose(depth, path)
    folder = Path(output) if output else Path(ckpt_path).parent.parent / "huggingface"
    write_directory(folder, model, description, chosen)
    print(f"{folder}: path {chosen}, depth {chosen.depth}")

"""`fold demo`: a page on which an exported model listens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fold.cli.parser import OneLineErrors
from fold.demo.page import read_sentences, sample_sentences, write_page
from fold.demo.runtime import runtime_files
from fold.demo.server import server_of
from fold.errors import FoldError
from fold_device.description import read_description
from fold_device.errors import DeviceError


def run(arguments: Sequence[str]) -> None:
    """Parses the arguments of `demo` and calls it."""
    parser = OneLineErrors(prog="fold demo", description="A page on which an exported model listens.")
    parser.add_argument("model", type=str, help="A folder that `fold export --to onnx` wrote.")
    parser.add_function_arguments(demo, skip={"model"})
    demo(**parser.instantiate(parser.parse_args(arguments)))


def demo(model: str, output: str = "demo", serve: bool = True, port: int = 8000, sentences: str | None = None) -> None:
    """Writes a page and serves it on 127.0.0.1 until Ctrl-C.

    Args:
        model: a folder that `fold export --to onnx` wrote.
        output: folder for the page; any server of files can show it.
        serve: whether to show it; else it is only written.
        port: to serve at; 0 for any that is free.
        sentences: file of what one may say, a sentence in each line; by default commands of the default corpus.
    """
    try:
        description = read_description(model)
        chosen = read_sentences(sentences) if sentences else sample_sentences(description)
        write_page(description, Path(output), runtime_files(), chosen)
    except DeviceError as error:
        raise FoldError(str(error)) from None
    print(f"page: {Path(output) / 'index.html'}")
    if serve:
        with server_of(Path(output), port) as server:
            print(f"open http://127.0.0.1:{server.server_port}/ (Ctrl-C ends it)", flush=True)
            server.serve_forever()

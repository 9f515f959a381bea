"""`fold bench-device`: what each depth costs on this machine. It is `fold-device bench`."""

from __future__ import annotations

from collections.abc import Sequence

from fold.cli.parser import OneLineErrors
from fold.errors import FoldError
from fold_device.bench.command import SUMMARY, bench
from fold_device.errors import DeviceError


def run(arguments: Sequence[str]) -> None:
    """Parses the arguments of `fold_device.bench.command.bench` and calls it."""
    parser = OneLineErrors(prog="fold bench-device", description=SUMMARY)
    parser.add_argument("model", nargs="?", type=str, help="A folder that `fold export --to onnx` wrote.")
    parser.add_argument("audio", nargs="*", type=str, help="Files to time; by default those of --transcripts.")
    parser.add_function_arguments(bench, skip={"model", "audio"})
    try:
        bench(**parser.instantiate(parser.parse_args(arguments)))
    except DeviceError as error:
        raise FoldError(str(error)) from None

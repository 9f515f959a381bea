"""`fold bench-device`: what each depth costs on this machine. It is `fold-device bench`."""

from __future__ import annotations

from collections.abc import Sequence

from fold.errors import FoldError
from fold_device.bench import command
from fold_device.cli import OneLineErrors
from fold_device.errors import DeviceError


def run(arguments: Sequence[str]) -> None:
    """Parses the arguments and measures."""
    parser = OneLineErrors(prog="fold bench-device", description=command.SUMMARY, allow_abbrev=False)
    command.add_arguments(parser)
    parser.add_argument("--help-all", action="help", help="as --help, as of any command of fold")
    try:
        command.run(parser.parse_args(list(arguments)))
    except DeviceError as error:
        raise FoldError(str(error)) from None

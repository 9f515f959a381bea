"""The `fold` command: one entry, a thin module per command."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from fold import __version__
from fold.cli.allocator import keep_freed_memory
from fold.cli.commands import COMMANDS as COMMANDS
from fold.cli.commands import OFFERED
from fold.errors import FoldError


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command. Returns the exit status: 0, or 2 after one line on standard error."""
    keep_freed_memory()
    command, *arguments = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    if command in ("-h", "--help"):
        print("usage: fold COMMAND [options]    (fold COMMAND --help describes them)\n")
        print("\n".join(f"  {name:13}{text}" for name, text in OFFERED.listed().items()))
        return 0
    if command == "--version":
        print(f"fold {__version__}")
        return 0
    try:
        OFFERED.find(command)(arguments)
    except FoldError as error:
        print(f"fold {command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"fold {command}: interrupted", file=sys.stderr)
        return 130
    return 0

"""The `fold` command: one entry, a thin module per command."""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
from collections.abc import Sequence

from fold import __version__
from fold.cli.allocator import keep_freed_memory
from fold.cli.commands import COMMANDS as COMMANDS
from fold.cli.commands import OFFERED
from fold.cli.home import argument_at_home
from fold.errors import FoldError

TRACEBACK = "FOLD_TRACEBACK"  # environment variable: show where an error comes from, for reports of faults


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command. Returns the exit status: 0, or 2 after one line on standard error."""
    keep_freed_memory()
    _write_what_a_terminal_cannot_show()
    command, *arguments = [*map(argument_at_home, sys.argv[1:] if argv is None else argv)] or ["--help"]
    try:
        _run(command, arguments)
        sys.stdout.flush()
    except FoldError as error:
        return _refused(command, error)
    except BrokenPipeError:  # who read the output has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # as of a process that SIGPIPE ends
    except OSError as error:  # a full or read-only disk, a file without permission ...
        if error.filename is None and error.errno != errno.ENOSPC:
            raise
        where = f"{error.filename}: " if error.filename is not None else ""
        return _refused(command, FoldError(f"{where}{error.strerror}"), error)
    except KeyboardInterrupt:
        print(f"fold {command}: interrupted", file=sys.stderr)
        return 130
    return 0


def _run(command: str, arguments: Sequence[str]) -> None:
    if command in ("-h", "--help"):
        print("usage: fold COMMAND [options]    (fold COMMAND --help describes them)\n")
        print("\n".join(f"  {name:13}{text}" for name, text in OFFERED.listed().items()))
    elif command == "--version":
        print(f"fold {__version__}")
    else:
        OFFERED.find(command)(arguments)


def _refused(command: str, error: FoldError, cause: Exception | None = None) -> int:
    if os.environ.get(TRACEBACK):
        traceback.print_exception(cause or error)
    print(f"fold {command}: {error}", file=sys.stderr)
    return 2


def _write_what_a_terminal_cannot_show() -> None:
    """Characters that the terminal's encoding lacks are written as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

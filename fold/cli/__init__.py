"""The `fold` command: one entry, a thin module per command."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from fold.cli.allocator import keep_freed_memory
from fold.errors import FoldError

COMMANDS = {
    "fit": "train a model and sweep its depths on the test split",
    "validate": "evaluate a checkpoint on the dev split",
    "test": "sweep every depth on the test split and write the report into a new run folder",
    "predict": "transcribe the test split with the deepest path",
    "prepare": "write the shards of a corpus",
    "sweep": "WER per depth of a checkpoint",
    "transcribe": "audio files to text at a chosen depth",
    "compare": "runs side by side: tables, figures, significance, one page",
    "dashboard": "make a W&B workspace that compares runs by depth",
    "export": "write a folded foundation model at one depth for transformers",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command. Returns the exit status: 0, or 2 after one line on standard error."""
    keep_freed_memory()
    command, *arguments = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    if command in ("-h", "--help"):
        print("usage: fold COMMAND [options]    (fold COMMAND --help tells them)\n")
        print("\n".join(f"  {name:12}{text}" for name, text in COMMANDS.items()))
        return 0
    try:
        _run(command, arguments)
    except FoldError as error:
        print(f"fold {command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"fold {command}: interrupted", file=sys.stderr)
        return 130
    return 0


def _run(command: str, arguments: list[str]) -> None:
    # Imports are local so that `fold transcribe` does not wait for Lightning and W&B.
    if command not in COMMANDS:
        raise FoldError(f"no such command; there are {', '.join(COMMANDS)}")
    if command == "prepare":
        from fold.cli.prepare import run
    elif command == "sweep":
        from fold.cli.sweep import run
    elif command == "transcribe":
        from fold.cli.transcribe import run
    elif command == "compare":
        from fold.cli.compare import run
    elif command == "dashboard":
        from fold.cli.dashboard import run
    elif command == "export":
        from fold.cli.export import run
    else:
        from fold.cli.train import run

        arguments = [command, *arguments]
    run(arguments)

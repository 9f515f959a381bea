"""The commands of `fold`: its own, and those of installed packages."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points

from fold.errors import FoldError

GROUP = "fold.commands"  # of the entry points by which a package offers commands, as name = "module:function"

COMMANDS = {  # name: where its function is, which takes the arguments, and what it does
    "fit": ("fold.cli.train:fit", "train a model and sweep its depths on the test split"),
    "validate": ("fold.cli.train:validate", "evaluate a checkpoint on the dev split"),
    "test": ("fold.cli.train:test", "sweep every depth on the test split and write the report into a new run folder"),
    "predict": ("fold.cli.train:predict", "transcribe the test split with the deepest path"),
    "prepare": ("fold.cli.prepare:run", "write the shards of a corpus"),
    "sweep": ("fold.cli.sweep:run", "WER per depth of a checkpoint"),
    "transcribe": ("fold.cli.transcribe:run", "audio files to text at a chosen depth"),
    "bench-device": ("fold.cli.bench_device:run", "time, memory and WER of an exported model at every depth"),
    "demo": ("fold.cli.demo:run", "a page on which an exported model listens, with a slider for its depth"),
    "compare": ("fold.cli.compare:run", "runs side by side: tables, figures, significance, one page"),
    "dashboard": ("fold.cli.dashboard:run", "make a W&B workspace that compares runs by depth"),
    "export": ("fold.cli.export:run", "write a model for ONNX runtimes, sherpa-onnx or transformers"),
    "set-depth": ("fold.cli.set_depth:run", "change the depth of a file for sherpa-onnx"),
}

Command = Callable[[Sequence[str]], None]


def offered() -> dict[str, EntryPoint]:
    """Commands of installed packages; those of fold itself cannot be replaced."""
    return {point.name: point for point in entry_points(group=GROUP) if point.name not in COMMANDS}


def listed() -> dict[str, str]:
    """All commands, with what they do."""
    own = {name: text for name, (_, text) in COMMANDS.items()}
    return own | {name: f"from {point.dist.name if point.dist else point.value}" for name, point in offered().items()}


def find(name: str) -> Command:
    """The function of a command; no other is imported. Raises FoldError if there is none, or it cannot be loaded."""
    if name in COMMANDS:
        module, _, function = COMMANDS[name][0].partition(":")
        own: Command = getattr(importlib.import_module(module), function)
        return own
    others = offered()
    if name not in others:
        raise FoldError(f"no such command; there are {', '.join(listed())}")
    try:
        other: Command = others[name].load()
    except Exception as error:  # whatever a stranger's module does
        raise FoldError(f"the entry point {name} = {others[name].value} cannot be loaded: {error}") from error
    return other

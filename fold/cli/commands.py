"""The commands of `fold`: its own, and those of installed packages."""

from __future__ import annotations

from fold.cli.offered import Offered

COMMANDS = {  # name: where its function is, and what it does
    "fit": ("fold.cli.train:fit", "train a model and sweep its depths on the test split"),
    "validate": ("fold.cli.train:validate", "evaluate a checkpoint on the dev split"),
    "test": ("fold.cli.train:test", "sweep every depth on the test split and write the report into a new run folder"),
    "predict": ("fold.cli.train:predict", "transcribe the test split with the deepest path"),
    "prepare": ("fold.cli.prepare:run", "write the shards of a corpus"),
    "sweep": ("fold.cli.sweep:run", "WER per depth of a checkpoint"),
    "ngram": ("fold.cli.ngram:run", "an n-gram language model of a corpus's transcripts, for decoding"),
    "transcribe": ("fold.cli.transcribe:run", "audio files to text at a chosen depth"),
    "bench-device": ("fold.cli.bench_device:run", "time, memory and WER of an exported model at every depth"),
    "demo": ("fold.cli.demo:run", "a page on which an exported model listens, with a slider for its depth"),
    "compare": ("fold.cli.compare:run", "runs side by side: tables, figures, significance, one page"),
    "dashboard": ("fold.cli.dashboard:run", "make a W&B workspace that compares runs by depth"),
    "export": ("fold.cli.export:run", "write a model for ONNX runtimes, sherpa-onnx or transformers"),
    "set-depth": ("fold.cli.set_depth:run", "change the depth of a file for sherpa-onnx"),
}

# A command is a function that takes the arguments behind its name.
OFFERED = Offered("command", "fold.commands", COMMANDS)

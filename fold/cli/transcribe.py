"""`fold transcribe`: audio files to text at a chosen depth."""

from __future__ import annotations

import fold
from fold.audio import Channel
from fold.cli.each import Each
from fold.cli.parser import OneLineErrors
from fold.decoding.cutting import Cutting
from fold.decoding.decode import Decoding
from fold.precision import Precision


def run(arguments: list[str]) -> None:
    """Parses the arguments of `transcribe_files` and calls it."""
    parser = OneLineErrors(prog="fold transcribe", description="Audio files to text at a chosen depth.")
    parser.add_function_arguments(transcribe_files, skip={"files"})
    parser.add_argument("files", nargs="+", type=str, help="Audio files of any sample rate and length.")
    transcribe_files(**parser.instantiate(parser.parse_args(arguments)))


def transcribe_files(
    files: list[str],
    ckpt_path: str,
    depth: int | None = None,
    path: str | None = None,
    decoding: Decoding | None = None,
    cutting: Cutting = Cutting(),
    device: str | None = None,
    precision: Precision = "auto",
    channel: Channel = "mix",
) -> None:
    """Prints a line per file: its name, a tab, its text. A bad file among others is reported; those are still done.

    Args:
        files: audio files that libsndfile reads (wav, flac, ogg, mp3, ...).
        ckpt_path: a checkpoint of `fold fit`.
        depth: executed depth, along its canonical path; by default the deepest.
        path: an unfolding path such as 1-1-2-3, instead of a depth.
        decoding: how transcripts are found; by default as in the test of the model's training.
        cutting: how recordings are cut into utterances.
        device: cpu, cuda, ...; by default an accelerator if there is one.
        precision: fp32 or bf16; by default bf16 on a GPU that computes in it.
        channel: which channel of the audio: mix for the mean of all, left, right, or a number from 1.
    """
    model = fold.load(ckpt_path, device, precision, decoding, cutting)
    model.paths.choose(depth, path)  # one that the model has not is no fault of a file
    each = Each("fold transcribe", len(files))
    for file in files:
        with each.trying():
            print(f"{file}\t{model.transcribe(file, depth, path, channel=channel)}", flush=True)
    each.end()

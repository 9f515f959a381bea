"""`fold transcribe`: audio files to text at a chosen depth."""

from __future__ import annotations

import torch

from fold import checkpoint
from fold.audio import Channel, read_audio
from fold.cli.decoding import trained_decoding
from fold.cli.device import choose_device
from fold.cli.each import Each
from fold.cli.parser import OneLineErrors
from fold.decoding.decode import Decoding
from fold.decoding.windows import Windows, encode
from fold.errors import FoldError
from fold.precision import Precision, computing_in

MIN_SECONDS = 0.1  # shorter audio is padded: it would give no encoded frame


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
    windows: Windows = Windows(),
    device: str | None = None,
    precision: Precision = "auto",
    channel: Channel = "mix",
) -> None:
    """Prints a line a file: its name, a tab, its text. A bad file among others is told, and the others are still done.

    Args:
        files: audio files that libsndfile reads (wav, flac, ogg, mp3, ...).
        ckpt_path: a checkpoint of `fold fit`.
        depth: executed depth, along its canonical path; by default the deepest.
        path: an unfolding path such as 1-1-2-3, instead of a depth.
        decoding: how transcripts are found; by default as in the test of the model's training.
        windows: how audio is cut that is longer than one.
        device: cpu, cuda, ...; by default an accelerator if there is one.
        precision: fp32 or bf16; by default bf16 where the device computes much faster in it.
        channel: which channel of the audio: mix for the mean of all, left, right, or a number from 1.
    """
    target = choose_device(device)
    content = checkpoint.read(ckpt_path)
    model, description = checkpoint.restore(content, ckpt_path)
    decoding = decoding or trained_decoding(content, ckpt_path)
    decoding.check(model)
    chosen = description.space.choose(depth, path)
    model = model.to(target)
    each = Each("fold transcribe", len(files))
    for file in files:
        with each.trying():
            samples, rate, flaws = read_audio(file, description.sample_rate, channel)
            for flaw in flaws:
                each.tell(f"{file}: {flaw.reason}")
            missing = round(MIN_SECONDS * rate) - len(samples)
            waveform = torch.nn.functional.pad(torch.from_numpy(samples), (0, max(missing, 0))).unsqueeze(0)
            cut = waveform.shape[1] > windows.seconds * description.sample_rate
            if cut and decoding.method == "beam" and decoding.ctc_weight < 1:
                raise FoldError(
                    f"{file}: longer than {windows.seconds} s, for which the attention decoder was not trained; "
                    "expected --decoding.method=greedy, or --decoding.method=beam --decoding.ctc_weight=1"
                )
            with computing_in(target, precision):
                output = encode(model, description.architecture, waveform, description.sample_rate, chosen, windows)
                [[units]] = decoding(model, [output])
            print(f"{file}\t{description.units.decode(units)}", flush=True)
    each.end()

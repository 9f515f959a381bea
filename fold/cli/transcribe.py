"""`fold transcribe`: audio files to text at a chosen depth."""

from __future__ import annotations

from pathlib import Path as FilePath

import numpy as np
import soundfile
import soxr
import torch
from torch import Tensor

from fold import checkpoint
from fold.cli.decoding import trained_decoding
from fold.cli.device import choose_device
from fold.cli.parser import OneLineErrors
from fold.decoding.decode import Decoding
from fold.decoding.windows import Windows, encode
from fold.errors import FoldError
from fold.paths import Path, PathSpace
from fold.precision import Precision, computing_in

BLOCK = 1 << 16  # samples read at once
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
) -> None:
    """Prints a line a file: its name, a tab, its text.

    Args:
        files: audio files that libsndfile reads (wav, flac, ogg, mp3, ...).
        ckpt_path: a checkpoint of `fold fit`.
        depth: executed depth, along its canonical path; by default the deepest.
        path: an unfolding path such as 1-1-2-3, instead of a depth.
        decoding: how transcripts are found; by default as in the test of the model's training.
        windows: how audio is cut that is longer than one.
        device: cpu, cuda, ...; by default an accelerator if there is one.
        precision: fp32 or bf16; by default bf16 where the device computes much faster in it.
    """
    target = choose_device(device)
    content = checkpoint.read(ckpt_path)
    model, description = checkpoint.restore(content, ckpt_path)
    decoding = decoding or trained_decoding(content, ckpt_path)
    decoding.check(model)
    chosen = choose_path(description.space, depth, path)
    model = model.to(target)
    for file in files:
        waveform = read_audio(file, description.sample_rate)
        cut = waveform.shape[1] > windows.seconds * description.sample_rate
        if cut and decoding.method == "beam" and decoding.ctc_weight < 1:
            raise FoldError(
                f"{file}: longer than {windows.seconds} s, for which the attention decoder was not trained; expected "
                "--decoding.method=greedy, or --decoding.method=beam --decoding.ctc_weight=1"
            )
        with computing_in(target, precision):
            output = encode(model, description.architecture, waveform, description.sample_rate, chosen, windows)
            [[units]] = decoding(model, [output])
        print(f"{file}\t{description.units.decode(units)}", flush=True)


def choose_path(space: PathSpace, depth: int | None, path: str | None) -> Path:
    """The path that `--depth` or `--path` names; the deepest without either. Raises FoldError for both."""
    if depth is not None and path is not None:
        raise FoldError("--depth and --path exclude each other: a path has its depth")
    return Path.parse(path) if path else space.canonical(depth or space.depths[-1])


def read_audio(file: str | FilePath, sample_rate: int) -> Tensor:
    """An audio file as (1, samples) fp32 at `sample_rate`, channels averaged, at least MIN_SECONDS long.

    It is read and resampled block by block: no more than the result is held.
    Raises FoldError if the file is missing or is no audio.
    """
    try:
        with soundfile.SoundFile(file) as audio:
            resampler = soxr.ResampleStream(audio.samplerate, sample_rate, num_channels=1)
            blocks = [
                resampler.resample_chunk(np.ascontiguousarray(block.mean(axis=1)))
                for block in audio.blocks(BLOCK, dtype="float32", always_2d=True)
            ]
            blocks.append(resampler.resample_chunk(np.zeros(0, np.float32), last=True))
    except (OSError, soundfile.SoundFileError) as error:
        reason = "no such file" if not FilePath(file).exists() else f"not audio that libsndfile reads ({error})"
        raise FoldError(f"{file}: {reason}") from None
    waveform = torch.from_numpy(np.concatenate(blocks))
    missing = round(MIN_SECONDS * sample_rate) - len(waveform)
    return torch.nn.functional.pad(waveform, (0, max(missing, 0))).unsqueeze(0)

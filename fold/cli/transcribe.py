"""`fold transcribe`: audio files to text at a chosen depth."""

from __future__ import annotations

from pathlib import Path as FilePath

import soundfile
import soxr
import torch
from torch import Tensor

from fold import checkpoint
from fold.cli.device import choose_device
from fold.cli.parser import OneLineErrors
from fold.decoding.decode import Decoding, transcribe
from fold.errors import FoldError
from fold.paths import Path

MIN_SECONDS = 0.1  # shorter audio is padded: it would give no encoded frame


def run(arguments: list[str]) -> None:
    """Parses the arguments of `transcribe_files` and calls it."""
    parser = OneLineErrors(prog="fold transcribe", description="Audio files to text at a chosen depth.")
    parser.add_function_arguments(transcribe_files, skip={"files"})
    parser.add_argument("files", nargs="+", type=str, help="Audio files of any sample rate and length.")
    transcribe_files(**parser.instantiate_classes(parser.parse_args(arguments)))


def transcribe_files(
    files: list[str],
    ckpt_path: str,
    depth: int | None = None,
    path: str | None = None,
    decoding: Decoding = Decoding(),
    device: str | None = None,
) -> None:
    """Prints a line a file: its name, a tab, its text.

    Args:
        files: audio files that libsndfile reads (wav, flac, ogg, mp3, ...).
        ckpt_path: a checkpoint of `fold fit`.
        depth: executed depth, along its canonical path; by default the deepest.
        path: an unfolding path such as 1-1-2-3, instead of a depth.
        decoding: how transcripts are found.
        device: cpu, cuda, ...; by default an accelerator if there is one.
    """
    model, description = checkpoint.load(ckpt_path)
    if depth is not None and path is not None:
        raise FoldError("--depth and --path exclude each other: a path has its depth")
    space = description.space
    chosen = Path.parse(path) if path else space.canonical(depth or space.depths[-1])
    target = choose_device(device)
    model = model.to(target)
    for file in files:
        waveform = read_audio(file, description.sample_rate).to(target)
        num_samples = torch.tensor([waveform.shape[1]], device=target)
        [[text]] = transcribe(model, description.units, waveform, num_samples, [chosen], decoding)
        print(f"{file}\t{text}", flush=True)


def read_audio(file: str | FilePath, sample_rate: int) -> Tensor:
    """An audio file as (1, samples) fp32 at `sample_rate`, channels averaged, at least MIN_SECONDS long.

    Raises FoldError if the file is missing or is no audio.
    """
    try:
        samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        reason = "no such file" if not FilePath(file).exists() else f"not audio that libsndfile reads ({error})"
        raise FoldError(f"{file}: {reason}") from None
    waveform = torch.from_numpy(soxr.resample(samples.mean(axis=1), rate, sample_rate))
    missing = round(MIN_SECONDS * sample_rate) - len(waveform)
    return torch.nn.functional.pad(waveform, (0, max(missing, 0))).unsqueeze(0)

"""Recordings of any length: encoded window by window, within memory that does not grow with their length."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import torch
from torch import Tensor

from fold.decoding.words import FrameTimes
from fold.errors import FoldError
from fold.models import Architecture, PathOutput, PathOutputs, Recogniser
from fold.paths import Path

MIN_SECONDS = 0.1  # shorter audio is padded with zeros: it would give no encoded frame


@dataclass(frozen=True)
class Windows:
    """How long audio is cut.

    Each half of an overlap is taken from the window in which it lies further from the edge. Features are normalised
    within a window.

    Args:
        seconds: Audio encoded at once.
        overlap_seconds: What neighbouring windows share.

    Raises:
        FoldError: A window is not longer than two overlaps.
    """

    seconds: float = 30.0
    overlap_seconds: float = 4.0

    def __post_init__(self) -> None:
        if not self.seconds > 2 * self.overlap_seconds >= 0:
            raise FoldError(
                f"windows of {self.seconds} s with an overlap of {self.overlap_seconds} s: a window must be longer "
                "than two overlaps"
            )


def needed_samples(architecture: Architecture, num_frames: int, sample_rate: int) -> int:
    """The fewest samples that give so many encoded frames; sample_rate: in Hz."""
    second = architecture.num_frames(10 * sample_rate, sample_rate) // 10
    most = (num_frames // second + 2) * sample_rate
    return bisect_left(range(most), num_frames, key=lambda samples: architecture.num_frames(samples, sample_rate))


def frame_times(architecture: Architecture, sample_rate: int) -> FrameTimes:
    """When the encoded frames of an architecture are; sample_rate: in Hz."""
    first = needed_samples(architecture, 1, sample_rate)
    return FrameTimes(first, needed_samples(architecture, 2, sample_rate) - first, sample_rate)


@torch.no_grad()
def encode(
    model: Recogniser, architecture: Architecture, waveform: Tensor, sample_rate: int, path: Path, windows: Windows
) -> PathOutput:
    """The output of one path for one recording: in one piece if it fits a window, else joined from windows.

    waveform: (1, samples) in [-1, 1] on any device; windows are moved to the model's as they are needed, and
    the output lies on the CPU where there are several.
    """
    device = next(model.parameters()).device
    missing = round(MIN_SECONDS * sample_rate) - waveform.shape[1]
    waveform = torch.nn.functional.pad(waveform, (0, max(0, missing)))
    if waveform.shape[1] <= windows.seconds * sample_rate:
        return _encode(model, waveform.to(device), path)
    times = frame_times(architecture, sample_rate)
    first, hop = times.first, times.hop
    margin = round(windows.overlap_seconds * sample_rate / 2) // hop
    inner = (round(windows.seconds * sample_rate) - first) // hop + 1 - 2 * margin
    total = architecture.num_frames(waveform.shape[1], sample_rate)
    pieces = []
    for begin in range(0, total, inner):
        end = min(begin + inner, total)
        left, right = max(begin - margin, 0), min(end + margin, total)
        piece = _encode(model, waveform[:, left * hop : (right - 1) * hop + first].to(device), path)
        inside = slice(begin - left, end - left)
        pieces.append((piece.encoded[:, inside].cpu(), piece.ctc_log_probs[:, inside].cpu()))
    encoded, log_probs = (torch.cat(parts, dim=1) for parts in zip(*pieces, strict=True))
    return PathOutput(path, encoded, torch.tensor([total]), log_probs)


def _encode(model: Recogniser, waveform: Tensor, path: Path) -> PathOutput:
    outputs: PathOutputs = model(waveform, torch.tensor([waveform.shape[1]]), [path])
    return outputs[0]

"""Filterbanks for a graph: few operators, next to no bytes, and the numbers of `fold.models.frontend.Fbank`."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from fold.models.frontend import LOG_FLOOR, Fbank

PRE_EMPHASIS = 0.97


class TabledFbank(nn.Module):
    """`Fbank` as slices of the waveform and three matrix products.

    Only a power spectrum is wanted, so time may begin in the middle of a frame: cosines are even there and sines odd,
    and what both halves of a frame have in common, and what not, are transformed by half the products that the frame
    would take. Offset and pre-emphasis come before, though they too are linear: they take away what is large, and
    products round in proportion to that. Neither the matrices of the transform nor the mel filters are stored: they are
    computed out of a period of a cosine and what the filters let through of each frequency, by operators that depend
    on no input, which a runtime runs once, as it loads the graph. So they cost the file next to nothing, and no
    quantiser finds weights in them.

    fbank: the filterbanks to equal.
    """

    cosine: Tensor
    window: Tensor
    first: Tensor
    falling: Tensor
    rising: Tensor

    def __init__(self, fbank: Fbank) -> None:
        super().__init__()
        self.window_size, self.window_shift, self.fft_size = fbank.window_size, fbank.window_shift, fbank.fft_size
        self.num_frames, self.num_samples = fbank.num_frames, fbank.num_samples
        self.num_mels = fbank.get_buffer("filters").shape[1]
        self.side = (fbank.window_size + 1) // 2  # of a frame: its middle sample, if there is one, is in both
        angles = torch.arange(2 * fbank.fft_size, dtype=torch.float64) * (math.pi / fbank.fft_size)
        self.register_buffer("cosine", angles.cos().float())
        window = fbank.get_buffer("window")[: self.side] * 2**15  # Kaldi works on the 16-bit integer range
        shared = torch.arange(self.side) == fbank.window_size - self.side
        self.register_buffer("window", torch.where(shared, 0.5 * window, window))
        filters = nn.functional.pad(fbank.get_buffer("filters")[:-1], (0, 1))  # the Nyquist frequency has none
        self.register_buffer("first", (filters > 0).int().argmax(1))
        self.register_buffer("falling", filters.gather(1, self.first[:, None])[:, 0])
        self.register_buffer("rising", filters.gather(1, self.first[:, None] + 1)[:, 0])

    def forward(self, waveforms: Tensor) -> Tensor:
        """waveforms: (batch, samples) in [-1, 1]. Returns (batch, frames, num_mels)."""
        frames = self.frames(waveforms)
        early, late = frames[..., : self.side], frames[..., self.window_size - self.side :].flip(-1)
        cosines, sines = self.transforms()
        even, odd = (early + late) @ cosines, (early - late) @ sines
        return ((even * even + odd * odd) @ self.filters()).clamp(min=LOG_FLOOR).log()

    def frames(self, waveforms: Tensor) -> Tensor:
        """Frames without their offset, pre-emphasised: (batch, frames, window_size). Of the first sample of a frame,
        which has none before it, something else is left than in `Fbank`: the window is 0 there."""
        emphasised = nn.functional.pad(waveforms[:, 1:] - PRE_EMPHASIS * waveforms[:, :-1], (1, 0))
        offsets = nn.functional.avg_pool1d(waveforms[:, None], self.window_size, self.window_shift).transpose(1, 2)
        return emphasised.unfold(1, self.window_size, self.window_shift) - (1 - PRE_EMPHASIS) * offsets

    def transforms(self) -> tuple[Tensor, Tensor]:
        """From half a frame to the real and to the imaginary part of its spectrum: (half, fft_size / 2) each."""
        before = self.window_size - 1 - 2 * torch.arange(self.side)  # the middle, in half samples
        turns = before[:, None] * torch.arange(self.fft_size // 2)
        quarter = self.fft_size // 2  # of a period: from cosine to sine
        cosines, sines = (self.cosine[phase % (2 * self.fft_size)] for phase in (turns, turns + quarter))
        return cosines * self.window[:, None], sines * self.window[:, None]

    def filters(self) -> Tensor:
        """Triangles, of which each frequency is in two at most, one after the other: (fft_size / 2, num_mels)."""
        mels = torch.arange(self.num_mels) - self.first[:, None]
        return (mels == 0) * self.falling[:, None] + (mels == 1) * self.rising[:, None]


class GivenFeatures(nn.Module):
    """In place of filterbanks where the runtime computes them: hands on what it is given.

    fbank: the filterbanks that the runtime computes.
    """

    def __init__(self, fbank: Fbank) -> None:
        super().__init__()
        self.num_mels = fbank.get_buffer("filters").shape[1]

    def forward(self, features: Tensor) -> Tensor:
        """features: (batch, frames, num_mels), as of `Fbank`. Returns them."""
        return features

    def num_frames(self, num_frames: Tensor) -> Tensor:
        """Frames in so many frames."""
        return num_frames

    def num_samples(self, num_frames: int) -> int:
        """None: whoever hands in features has padded them."""
        return 0

"""Filterbanks for a graph: few operators, next to no bytes, and the numbers of `fold.models.frontend.Fbank`."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torchaudio.compliance.kaldi import mel_scale, mel_scale_scalar

from fold.models.frontend import LOG_FLOOR, Fbank

LOWEST = 20.0  # Hz, where the first mel filter of `Fbank` begins; the last ends at half the sample rate
PRE_EMPHASIS = 0.97


class TabledFbank(nn.Module):
    """`Fbank` as a matrix product, a square, and another matrix product.

    All that `Fbank` does to a frame before the power spectrum (offset, pre-emphasis, window, Fourier transform) is
    linear: one matrix. Neither it nor the mel filters are stored: they are computed out of a period of a cosine and
    the places of frequencies on the mel scale, by operators that depend on no input, which a runtime runs once, as it
    loads the graph. So they cost the file next to nothing, and no quantiser finds weights in them.

    fbank: the filterbanks to equal.
    """

    cosine: Tensor
    window: Tensor
    places: Tensor

    def __init__(self, fbank: Fbank) -> None:
        super().__init__()
        self.window_size, self.window_shift, self.fft_size = fbank.window_size, fbank.window_shift, fbank.fft_size
        self.num_frames, self.num_samples = fbank.num_frames, fbank.num_samples
        self.num_mels = fbank.get_buffer("filters").shape[1]
        turns = torch.arange(fbank.fft_size, dtype=torch.float64) / fbank.fft_size
        self.register_buffer("cosine", (2 * math.pi * turns).cos().float())
        self.register_buffer("window", fbank.get_buffer("window") * 2**15)  # Kaldi works on the 16-bit integer range
        low, high = mel_scale_scalar(LOWEST), mel_scale_scalar(fbank.sample_rate / 2)
        mels = mel_scale(turns[: fbank.fft_size // 2] * fbank.sample_rate)
        self.register_buffer("places", ((mels - low) * ((self.num_mels + 1) / (high - low))).float())

    def forward(self, waveforms: Tensor) -> Tensor:
        """waveforms: (batch, samples) in [-1, 1]. Returns (batch, frames, num_mels)."""
        frames = waveforms.unfold(1, self.window_size, self.window_shift)
        real, imaginary = (frames @ self.transform()).square().chunk(2, dim=-1)
        return ((real + imaginary) @ self.filters()).clamp(min=LOG_FLOOR).log()

    def transform(self) -> Tensor:
        """From a frame to the real and imaginary parts of its spectrum: (window_size, fft_size)."""
        half = self.fft_size // 2
        turns = torch.arange(self.window_size)[:, None] * torch.arange(half)
        quarter = self.fft_size // 4  # of a turn: from cosine to sine
        both = torch.cat([turns, turns + quarter], dim=1) % self.fft_size
        windowed = self.cosine[both] * self.window[:, None]
        # A sample enters its own place and, times -0.97, the next; the first also stands in for the one before it.
        later = torch.cat([windowed[:1] + windowed[1:2], windowed[2:], torch.zeros_like(windowed[:1])])
        emphasised = windowed - PRE_EMPHASIS * later
        return emphasised - emphasised.mean(0)

    def filters(self) -> Tensor:
        """Triangles of equal width on the mel scale: (fft_size / 2, num_mels). The Nyquist frequency has none."""
        return (1 - (self.places[:, None] - torch.arange(1, self.num_mels + 1)).abs()).clamp(min=0)


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

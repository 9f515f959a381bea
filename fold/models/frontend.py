"""Waveform to normalised log-mel filterbanks, batched, on the model's device."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn
from torchaudio.compliance.kaldi import get_mel_banks
from torchaudio.functional import mask_along_axis_iid

from fold.errors import FoldError
from fold.modules.masks import length_mask

T = TypeVar("T", int, Tensor)
LOG_FLOOR = torch.finfo(torch.float32).eps  # as Kaldi
STD_FLOOR = 1e-3  # of a mel bin that holds nothing, such as digital silence


def num_fbank_frames(num_samples: T, sample_rate: int) -> T:
    """Frames of 25 ms every 10 ms that fit into `num_samples` (Kaldi's snip_edges); 0 or less for none."""
    return (num_samples - sample_rate * 25 // 1000) // (sample_rate * 10 // 1000) + 1


class Fbank(nn.Module):
    """Kaldi-compatible log-mel filterbanks: 25 ms Povey windows every 10 ms, pre-emphasis 0.97, no dither.

    Equals `torchaudio.compliance.kaldi.fbank(waveform * 2**15, dither=0)`: Kaldi works on the 16-bit integer range.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, sample_rate: int, num_mels: int) -> None:
        super().__init__()
        self.sample_rate = sample_rate
        self.window_size, self.window_shift = sample_rate * 25 // 1000, sample_rate * 10 // 1000
        self.fft_size = 1 << (self.window_size - 1).bit_length()
        if num_mels > self.fft_size // 2:
            raise FoldError(
                f"num_mels is {num_mels}: at {sample_rate} Hz a window has {self.fft_size // 2} frequencies to share"
            )
        window = torch.hann_window(self.window_size, periodic=False).pow(0.85)
        filters, _ = get_mel_banks(num_mels, self.fft_size, sample_rate, 20.0, 0.0, 100.0, -500.0, 1.0)
        filters = nn.functional.pad(filters, (0, 1)).T  # Kaldi leaves the Nyquist bin out
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("filters", filters.contiguous(), persistent=False)

    def num_frames(self, num_samples: Tensor) -> Tensor:
        """Frames in `num_samples` samples."""
        return num_fbank_frames(num_samples, self.sample_rate).clamp(min=0)

    def num_samples(self, num_frames: int) -> int:
        """The least samples that hold `num_frames` frames."""
        return self.window_size + (num_frames - 1) * self.window_shift

    def forward(self, waveforms: Tensor) -> Tensor:
        """waveforms: (batch, samples) in [-1, 1]. Returns (batch, frames, num_mels)."""
        frames = (waveforms * 2**15).unfold(1, self.window_size, self.window_shift)
        frames = frames - frames.mean(-1, keepdim=True)
        previous = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
        spectrum = torch.fft.rfft((frames - 0.97 * previous) * self.window, n=self.fft_size)
        energies: Tensor = (spectrum.real.square() + spectrum.imag.square()) @ self.filters  # faster than of abs()
        return energies.clamp(min=LOG_FLOOR).log()


@dataclass(frozen=True)
class SpecAugmentConfig:
    """SpecAugment (Park et al., 2019): drawn for each utterance; masks are filled with its mean.

    Args:
        freq_masks: Number of masks over mel bins.
        freq_width: Greatest width of such a mask, in mel bins.
        time_masks: Number of masks over frames.
        time_width: Greatest width of such a mask, in frames of 10 ms.
        time_share: Greatest share of the frames that one time mask covers: of the batch's longest, padding included.
        time_warp: Greatest shift, in frames, of a frame drawn in the middle, to which time before and after is
            stretched or squeezed evenly; 0: no warp.
    """

    freq_masks: int = 2
    freq_width: int = 27
    time_masks: int = 5
    time_width: int = 100
    time_share: float = 0.05
    time_warp: int = 0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 <= value < math.inf:
                raise FoldError(f"spec_augment.{name} is {value}: expected 0 or more")
        if self.time_share > 1:
            raise FoldError(f"spec_augment.time_share is {self.time_share}: expected a share, 0 to 1")


class Frontend(nn.Module):
    """Filterbanks, normalisation and, in training, SpecAugment.

    normalisation: "utterance": zero mean and unit variance in each mel bin of an utterance;
    "global": by the `mean` and `std` buffers, set once from training data with `fit_statistics`.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        sample_rate: int,
        num_mels: int,
        normalisation: Literal["utterance", "global"],
        spec_augment: SpecAugmentConfig | None,
    ) -> None:
        super().__init__()
        self.fbank = Fbank(sample_rate, num_mels)
        self.normalisation = normalisation
        self.register_buffer("mean", torch.zeros(num_mels))
        self.register_buffer("std", torch.ones(num_mels))
        self.spec_augment = spec_augment

    def forward(self, waveforms: Tensor, num_samples: Tensor) -> tuple[Tensor, Tensor]:
        """waveforms: (batch, samples) in [-1, 1]; num_samples: (batch,).

        Returns features (batch, frames, num_mels) in fp32, zero at padded frames, and num_frames (batch,).
        """
        with torch.autocast(waveforms.device.type, enabled=False):
            features = self.fbank(waveforms.float())
            num_frames = self.fbank.num_frames(num_samples)
            mask = length_mask(num_frames, features.shape[1], features.device).unsqueeze(-1)
            mean, std = self.mean, self.std
            if self.normalisation == "utterance":
                mean, std = _moments(features, mask, dim=1)
            features = (features - mean) / std * mask
            if self.training and self.spec_augment is not None:
                features = _augment(features, num_frames, self.spec_augment) * mask
        return features, num_frames

    @torch.no_grad()
    def fit_statistics(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Sets the global mean and std of each mel bin from batches of training speech, (waveforms, num_samples)."""
        count, total = 0, torch.zeros_like(self.mean, dtype=torch.float64)
        squares = torch.zeros_like(total)
        for waveforms, num_samples in batches:
            features = self.fbank(waveforms.float())
            mask = length_mask(self.fbank.num_frames(num_samples), features.shape[1], features.device)
            frames = features[mask].double()
            count += len(frames)
            total, squares = total + frames.sum(0), squares + frames.square().sum(0)
        mean = total / count
        self.mean.copy_(mean)
        # Clamped before the root: rounding takes the variance of a bin that never changes a little below 0.
        self.std.copy_((squares / count - mean.square()).clamp(min=STD_FLOOR**2).sqrt())


def _moments(features: Tensor, mask: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over `dim` of what `mask` leaves."""
    count = mask.sum(dim, keepdim=True).clamp(min=1)
    mean = (features * mask).sum(dim, keepdim=True) / count
    var = ((features - mean) * mask).square().sum(dim, keepdim=True) / count
    return mean, var.sqrt().clamp(min=STD_FLOOR)


def _augment(features: Tensor, num_frames: Tensor, config: SpecAugmentConfig) -> Tensor:
    """Warps time, masks frames, then mel bins, of (batch, frames, mels). Frames past an utterance become anything."""
    if config.time_warp:
        features = _warp(features, num_frames.to(features.device, non_blocking=True), config.time_warp)
    for _ in range(config.time_masks):
        features = mask_along_axis_iid(features, config.time_width, 0.0, axis=1, p=config.time_share)
    for _ in range(config.freq_masks):
        features = mask_along_axis_iid(features, config.freq_width, 0.0, axis=2)
    return features


def _warp(features: Tensor, num_frames: Tensor, window: int) -> Tensor:
    """Moves a frame of each utterance, with `window` frames or more on either side, by 1 - window to window frames, and
    interpolates the others linearly between it and the ends. Utterances of up to 2 * window frames stay as they are.

    features: (batch, frames, mels); num_frames: (batch,) on their device.
    """
    length = num_frames[:, None].float()
    place, shift = torch.rand(2, len(features), 1, device=features.device)
    frame = window + (place * (length - 2 * window)).floor()
    moved = frame + (shift * 2 * window).floor() + 1 - window
    to = torch.arange(features.shape[1], device=features.device).expand(len(features), -1)
    middle = to + 0.5
    before = middle * frame / moved
    after = frame + (middle - moved) * (length - frame) / (length - moved)
    source = torch.where(middle < moved, before, after) - 0.5
    source = torch.where(length > 2 * window, source, to).minimum(length - 1).clamp(min=0)
    lower, part = source.long(), source.frac()[..., None]
    upper = (lower + 1).minimum(num_frames[:, None] - 1).clamp(min=0)
    earlier, later = (features.gather(1, i[..., None].expand_as(features)) for i in (lower, upper))
    return earlier.lerp(later, part)

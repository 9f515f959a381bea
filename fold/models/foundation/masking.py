"""Masking of frames and channels while fine-tuning (wav2vec 2.0: Baevski et al., 2020, appendix B)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fold.errors import FoldError
from fold.models.foundation.shape import first_given, settled


@dataclass(frozen=True)
class Masking:
    """What is masked in training; null: as in the training of the source, and where that is unknown as wav2vec 2.0 was
    fine-tuned on 100 hours (0.65, 10, 0.5, 64). Spans may overlap, so that less than the share is masked.

    Args:
        time_share: Share of the frames of an utterance that is replaced with a learned vector.
        time_span: Frames of a span.
        channel_share: Share of the channels that is set to zero over the whole utterance.
        channel_span: Channels of a span.

    Raises:
        FoldError: A share or span is out of range.
    """

    time_share: float | None = None
    time_span: int | None = None
    channel_share: float | None = None
    channel_span: int | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            allowed, told = (1, "a number, 1 or more") if name.endswith("span") else (0, "a share, 0 to 1")
            if value is not None and not (allowed <= value and (allowed or value <= 1)):
                raise FoldError(f"model.network.masking.{name} is {value}: expected {told}")

    def over(self, source: Masking) -> Masking:
        """This, and where it says nothing what the source says, else the usual."""
        return Masking(
            first_given(self.time_share, source.time_share, 0.65),
            first_given(self.time_span, source.time_span, 10),
            first_given(self.channel_share, source.channel_share, 0.5),
            first_given(self.channel_span, source.channel_span, 64),
        )


def span_mask(lengths: Tensor, size: int, share: float, span: int) -> Tensor:
    """Draws spans in each row: (batch, size) bool, on the device of `lengths` and without waiting for it.

    lengths: (batch,) positions of each row; share: of the positions, were the spans apart; span: positions of a span.
    Shorter rows have fewer spans (share * length / span, rounded up or down by chance) and rows shorter than a span
    none.
    """
    draws = torch.rand(len(lengths), size + 1, device=lengths.device)
    num_spans = (share * lengths / span + draws[:, -1]).floor()
    starts_allowed = torch.arange(size, device=lengths.device) <= (lengths - span)[:, None]
    order = draws[:, :-1].masked_fill(~starts_allowed, 2.0).argsort(1).argsort(1)
    starts = (order < num_spans[:, None]) & starts_allowed
    before = nn.functional.pad(starts.long().cumsum(1), (span, 0))
    return before[:, span:] > before[:, :-span]


class Mask(nn.Module):
    """Masks frames, then channels, of what the layers take.

    config: what is masked, nothing of it null; dim: number of channels. `embedding` is the vector of a masked frame.
    """

    def __init__(self, config: Masking, dim: int) -> None:
        super().__init__()
        self.time_share, self.time_span = settled(config.time_share), settled(config.time_span)
        self.channel_share, self.channel_span = settled(config.channel_share), settled(config.channel_span)
        self.embedding = nn.Parameter(torch.empty(dim).uniform_())

    def forward(self, x: Tensor, num_frames: Tensor) -> Tensor:
        """x: (batch, frames, dim); num_frames: (batch,). Returns x's shape; x itself outside training."""
        if not self.training:
            return x
        batch, frames, dim = x.shape
        lengths = num_frames.to(x.device, non_blocking=True)
        masked = span_mask(lengths, frames, self.time_share, self.time_span)
        x = torch.where(masked[:, :, None], self.embedding.to(x.dtype), x)
        channels = torch.full((batch,), dim, device=x.device)
        dropped = span_mask(channels, dim, self.channel_share, self.channel_span)
        return x.masked_fill(dropped[:, None, :], 0.0)

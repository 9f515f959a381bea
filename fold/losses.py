"""Losses of an utterance: CTC, attention, divergence; all in fp32 and masked by length."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from fold.models.asr import Architecture

IGNORED = -100


@dataclass(frozen=True)
class Targets:
    """Transcripts of a batch. units: (batch, length) padded unit indices; num_units: (batch,), 0 for a row that only
    fills the batch and has no part in a loss. Lengths are best on the CPU, where CTC wants them."""

    units: Tensor
    num_units: Tensor

    @property
    def lengths(self) -> Tensor:
        """`num_units` on the device of the units, (batch,)."""
        return self.num_units.to(self.units.device, non_blocking=True)

    @property
    def real(self) -> Tensor:
        """Which rows count, (batch,) on the device of the units."""
        return self.lengths > 0

    def repeat(self, times: int) -> Targets:
        """The same transcripts, `times` in a row: (times * batch, length)."""
        return Targets(self.units.repeat(times, 1), self.num_units.repeat(times))

    def prefixes(self, sos_eos: int) -> Tensor:
        """Decoder inputs: <sos/eos> before the units, (batch, length + 1). Entries past an utterance are padding."""
        return F.pad(self.units, (1, 0), value=sos_eos)

    def next_units(self, sos_eos: int) -> Tensor:
        """Decoder targets: each unit, then <sos/eos>, then IGNORED, (batch, length + 1)."""
        positions, ends = torch.arange(self.units.shape[1] + 1, device=self.units.device), self.lengths[:, None]
        return F.pad(self.units, (0, 1)).masked_fill(positions > ends, IGNORED).masked_fill(positions == ends, sos_eos)


@dataclass(frozen=True)
class Counts:
    """What the losses average over: target units and encoded frames, as scalar tensors.

    Under data-parallel training these are means over the ranks, so that averaged gradients are those of one large
    batch.
    """

    units: Tensor
    frames: Tensor

    @classmethod
    def of(cls, num_units: Tensor, num_frames: Tensor) -> Counts:
        """Those of one batch, (batch,) each; rows without units do not count."""
        return cls(num_units.sum().float(), (num_frames.to(num_units.device) * (num_units > 0)).sum().float())


def ctc_losses(log_probs: Tensor, num_frames: Tensor, targets: Targets) -> Tensor:
    """Negative log-likelihood of each transcript, (batch,) in nats; 0 where the frames cannot hold the transcript.

    log_probs: (batch, frames, units); num_frames: (batch,).
    """
    # Lengths as numbers: with tensors PyTorch would fetch the transcripts from a GPU once more.
    lengths = num_frames.tolist(), targets.num_units.tolist()
    return F.ctc_loss(
        log_probs.transpose(0, 1),
        targets.units,
        *lengths,  # type: ignore[arg-type]  # it takes numbers too, as its page says
        reduction="none",
        zero_infinity=True,
    )


def ctc_fits(units: Sequence[int], num_frames: int) -> bool:
    """Whether `num_frames` frames can hold a transcript: a frame a unit, and a blank between equal neighbours."""
    return len(units) + sum(a == b for a, b in itertools.pairwise(units)) <= num_frames


@dataclass(frozen=True)
class FitsCTC:
    """Whether audio of so many samples has the frames that CTC needs for a transcript."""

    network: Architecture
    sample_rate: int

    def __call__(self, units: Sequence[int], num_samples: int) -> bool:
        return ctc_fits(units, self.network.num_frames(num_samples, self.sample_rate))


def attention_losses(log_probs: Tensor, targets: Targets, label_smoothing: float) -> Tensor:
    """Cross-entropy of the decoder, summed over each transcript and its <sos/eos>, (batch,) in nats.

    log_probs: (batch, length + 1, units) after each prefix of the targets.
    """
    losses = F.cross_entropy(
        log_probs.transpose(1, 2),
        targets.next_units(sos_eos=log_probs.shape[-1] - 1),
        ignore_index=IGNORED,
        label_smoothing=label_smoothing,
        reduction="none",
    )
    return losses.sum(1)


def divergence(teacher: Tensor, student: Tensor, mask: Tensor) -> Tensor:
    """KL(sg[teacher] || student) summed over valid positions, (batch,) in nats.

    teacher, student: (batch, time, units) log-probabilities; mask: (batch, time). No gradient enters the teacher.
    """
    pointwise = F.kl_div(student, teacher.detach(), log_target=True, reduction="none").sum(-1)
    return (pointwise * mask).sum(1)

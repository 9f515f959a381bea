"""The joint objective of unfolding: task losses of the paths and self-distillation from the deepest to the seed.

    L = L_task(deepest) + a_seed * L_task(seed) + a_sampled * mean over sampled paths of L_task
        + b * KL( sg[p_deepest] || p_seed )                                          (arXiv 2505.21237)

Task losses are averages over target units, the divergence is an average over frames (over units for the decoder);
all are computed in fp32 and masked by length.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from fold.models.asr import Architecture, PathOutput, PathOutputs
from fold.modules.masks import length_mask

IGNORED = -100


@dataclass(frozen=True)
class Ramp:
    """A weight over training: 0 until `start`, linear up to `weight` at `end`, constant from there.

    start, end: shares of the training steps, 0 to 1. Equal, they make a step; 0 and 0 a constant.
    """

    weight: float
    start: float = 0.0
    end: float = 0.0

    def at(self, progress: float) -> float:
        """The weight at `progress`, a share of the training steps."""
        if progress >= self.end:
            return self.weight
        if progress <= self.start:
            return 0.0
        return self.weight * (progress - self.start) / (self.end - self.start)


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


@dataclass(frozen=True)
class Losses:
    """The total to minimise and its named parts, detached (unweighted; what is not computed is absent)."""

    total: Tensor
    parts: dict[str, Tensor]


def ctc_losses(log_probs: Tensor, num_frames: Tensor, targets: Targets) -> Tensor:
    """Negative log-likelihood of each transcript, (batch,) in nats; 0 where the frames cannot hold the transcript.

    log_probs: (batch, frames, units); num_frames: (batch,).
    """
    # Lengths as numbers: with tensors PyTorch would fetch the transcripts from a GPU once more.
    lengths = num_frames.tolist(), targets.num_units.tolist()
    return F.ctc_loss(log_probs.transpose(0, 1), targets.units, *lengths, reduction="none", zero_infinity=True)


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


@dataclass(frozen=True)
class JointObjective:
    """The joint objective; every term is a setting.

    seed, sampled: weights of the seed's and the sampled paths' task losses (the deepest path's is 1).
    distillation: weight of the divergence. Per frame the divergence is several times the task losses, per unit, of a
    trained model: with a weight of 1 it rules them and costs WER; from step 0 the teacher is worth nothing and can
    drag the seed along (part B of `RESULTS.md` compares the choices).
    distil_where: "everywhere", or only at utterances where the teacher's task loss is below the seed's.
    ctc_weight: share of CTC in the task loss of a model with an attention decoder; without one CTC is all.
    label_smoothing: of the attention decoder's targets.
    """

    seed: Ramp = Ramp(1.0)
    sampled: Ramp = Ramp(1.0)
    distillation: Ramp = Ramp(0.1, start=0.5, end=1.0)
    distil_where: Literal["everywhere", "teacher_better"] = "everywhere"
    ctc_weight: float = 0.3
    label_smoothing: float = 0.1

    def __call__(self, outputs: PathOutputs, targets: Targets, progress: float, counts: Counts | None = None) -> Losses:
        """outputs: of the deepest path, the seed, then the sampled paths (the deepest alone for a model that does
        not unfold); progress: share of the training steps done; counts: see `Counts` (None: this batch's own)."""
        counts = counts or Counts.of(targets.num_units, outputs.num_frames)
        parts: dict[str, Tensor] = {}
        deepest, *rest = self._task_losses(outputs, targets, counts)
        total = parts["task_deepest"] = deepest.sum()
        if rest:
            seed, *sampled = rest
            parts["task_seed"] = seed.sum()
            total = total + self.seed.at(progress) * parts["task_seed"]
            if sampled:
                parts["task_sampled"] = torch.stack(sampled).sum(1).mean()
                total = total + self.sampled.at(progress) * parts["task_sampled"]
            weight = self.distillation.at(progress)
            if weight:
                worth = deepest < seed if self.distil_where == "teacher_better" else torch.ones_like(deepest)
                divergences = self._divergences(outputs[0], outputs[1], targets, counts)
                parts["distillation"] = (divergences * worth).sum()
                total = total + weight * parts["distillation"]
        return Losses(total, {name: part.detach() for name, part in parts.items()})

    def _task_losses(self, outputs: PathOutputs, targets: Targets, counts: Counts) -> Tensor:
        """Each utterance's part in the average task loss of each path, (paths, batch)."""
        paths, batch = outputs.ctc_log_probs.shape[:2]
        repeated = targets.repeat(paths)
        losses = ctc_losses(outputs.ctc_log_probs.flatten(0, 1), outputs.num_frames.repeat(paths), repeated)
        if outputs.decoder_log_probs is not None:
            attention = attention_losses(outputs.decoder_log_probs.flatten(0, 1), repeated, self.label_smoothing)
            losses = self.ctc_weight * losses + (1 - self.ctc_weight) * attention
        return losses.view(paths, batch) * targets.real / counts.units.clamp(min=1)

    def _divergences(self, teacher: PathOutput, student: PathOutput, targets: Targets, counts: Counts) -> Tensor:
        """Each utterance's part in the average divergence, (batch,)."""
        log_probs = teacher.ctc_log_probs
        frames = length_mask(teacher.num_frames, log_probs.shape[1], log_probs.device)
        losses = divergence(log_probs, student.ctc_log_probs, frames) / counts.frames.clamp(min=1)
        if teacher.decoder_log_probs is not None:
            units = length_mask(targets.lengths + 1, teacher.decoder_log_probs.shape[1])
            attention = divergence(teacher.decoder_log_probs, student.decoder_log_probs, units)
            losses = self.ctc_weight * losses + (1 - self.ctc_weight) * attention / counts.units.clamp(min=1)
        return losses * targets.real

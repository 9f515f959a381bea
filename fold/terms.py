"""The terms of the objective: what each makes of a training step, and its weight over training.

A new one is a subclass of `Term` in any module; a package offers it as an entry point of the group `fold.terms`.
"""

from __future__ import annotations

import math
from abc import ABCMeta, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from fold.errors import FoldError
from fold.losses import Counts, Targets, divergence
from fold.models.asr import PathOutput, PathOutputs, Recogniser
from fold.modules.masks import length_mask
from fold.registry import Registry
from fold.sampling import StepPaths


@dataclass(frozen=True)
class Heard:
    """The audio of a training step. waveforms: (batch, samples) in [-1, 1]; num_samples: (batch,)."""

    waveforms: Tensor
    num_samples: Tensor


@dataclass(frozen=True)
class StepOutputs:
    """What the terms see of a training step.

    Attributes:
        paths: the step's paths by their roles.
        outputs: of `paths.in_order`.
        targets: the transcripts.
        counts: what losses average over.
        ctc_weight: share of CTC in the losses of a model with an attention decoder.
        task_losses: each utterance's part in the average task loss of each path, (paths, batch).
        heard: what the model heard; None only outside training.
        companion: of the term that looks, if it has one.
    """

    paths: StepPaths
    outputs: PathOutputs
    targets: Targets
    counts: Counts
    ctc_weight: float
    task_losses: Tensor
    heard: Heard | None = None
    companion: nn.Module | None = None

    @property
    def deepest(self) -> PathOutput:
        """What the deepest path gives."""
        return self.outputs[0]

    @property
    def seed(self) -> PathOutput | None:
        """What the seed gives; None where it is the deepest path too."""
        return self.outputs[1] if self.paths.seed else None

    @property
    def sampled(self) -> list[PathOutput]:
        """What the sampled paths give."""
        return [self.outputs[index] for index in range(self.num_ends, len(self.outputs))]

    @property
    def num_ends(self) -> int:
        """How many of the paths are no sampled ones: rows of `task_losses` before theirs."""
        return 2 if self.paths.seed else 1

    def divergence(self, teacher: PathOutput, student: PathOutput) -> Tensor:
        """Each utterance's part in the average KL(sg[teacher] || student), (batch,): over frames, and over units for
        the decoder."""
        log_probs = teacher.ctc_log_probs
        frames = length_mask(teacher.num_frames, log_probs.shape[1], log_probs.device)
        losses = divergence(log_probs, student.ctc_log_probs, frames) / self.counts.frames.clamp(min=1)
        if teacher.decoder_log_probs is not None and student.decoder_log_probs is not None:
            units = length_mask(self.targets.lengths + 1, teacher.decoder_log_probs.shape[1])
            attention = divergence(teacher.decoder_log_probs, student.decoder_log_probs, units)
            losses = self.ctc_weight * losses + (1 - self.ctc_weight) * attention / self.counts.units.clamp(min=1)
        return losses * self.targets.real


@dataclass(frozen=True)
class Ramp:
    """A weight over training: 0 until `start`, linear up to `weight` at `end`, constant from there.

    Args:
        weight: Where the weight ends.
        start: Share of the training updates, 0 to 1, at which it leaves 0.
        end: Share of the training updates at which it is `weight`; equal to `start` for a step, 0 for a constant.

    Raises:
        FoldError: The shares are not in order, or the weight is negative or infinite.
    """

    weight: float = 1.0
    start: float = 0.0
    end: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end <= 1:
            raise FoldError(f"a ramp from {self.start} to {self.end}: expected shares with 0 <= start <= end <= 1")
        if not 0 <= self.weight < math.inf:
            raise FoldError(f"a weight of {self.weight} in the objective: it must be 0 or more")

    def at(self, progress: float) -> float:
        """The weight at `progress`, a share of the training updates."""
        if progress >= self.end:
            return self.weight
        if progress <= self.start:
            return 0.0
        return self.weight * (progress - self.start) / (self.end - self.start)


@dataclass(frozen=True)
class Term(Ramp, metaclass=ABCMeta):  # not ABC: bases that are dataclasses all keep settings free of class paths
    """A term of the objective, with its weight over training. Subclasses are frozen dataclasses of plain values."""

    needs_hidden = False  # not annotated, and so no setting
    """Whether the outputs must hold what each layer call gave (`PathOutput.hidden`)."""

    def new_companion(self, model: Recogniser, sample_rate: int) -> nn.Module | None:
        """A module that the term takes besides what the model gives, such as a teacher; None for none.

        Its parameters train with the model's and lie in checkpoints, but are no part of the model. sample_rate: of what
        is heard, in Hz.
        """
        return None

    def computed(self, progress: float) -> bool:
        """Whether it is computed at `progress`: a term with a companion always, as data-parallel training wants every
        parameter used."""
        return bool(self.at(progress)) or type(self).new_companion is not Term.new_companion

    @abstractmethod
    def __call__(self, step: StepOutputs) -> Tensor | None:
        """The loss, a scalar averaged as `step.counts` says and without the weight; None where the step has not what it
        takes, such as a seed beside the deepest path."""


@dataclass(frozen=True)
class DeepestTask(Term):
    """The task loss of the deepest path."""

    def __call__(self, step: StepOutputs) -> Tensor:
        return step.task_losses[0].sum()


@dataclass(frozen=True)
class SeedTask(Term):
    """The task loss of the seed."""

    def __call__(self, step: StepOutputs) -> Tensor | None:
        return step.task_losses[1].sum() if step.paths.seed else None


@dataclass(frozen=True)
class SampledTask(Term):
    """The task loss of the sampled paths, their mean."""

    def __call__(self, step: StepOutputs) -> Tensor | None:
        return step.task_losses[step.num_ends :].sum(1).mean() if step.paths.sampled else None


@dataclass(frozen=True)
class Distillation(Term):
    """The divergence of the seed from the deepest path, which no gradient enters.

    Per frame it is several times the task losses, per unit, of a trained model: with a weight of 1 it rules them and
    costs WER; in the first updates the teacher is worth nothing and can drag the seed along (`RESULTS.md` compares the
    choices).

    Args:
        where: everywhere, or only at utterances where the deepest path's task loss is below the seed's.
    """

    weight: float = 0.1
    start: float = 0.5
    end: float = 1.0
    where: Literal["everywhere", "teacher_better"] = "everywhere"

    def __call__(self, step: StepOutputs) -> Tensor | None:
        if step.seed is None:
            return None
        deepest, seed = step.task_losses[:2]
        worth = deepest < seed if self.where == "teacher_better" else torch.ones_like(deepest)
        return (step.divergence(step.deepest, step.seed) * worth).sum()


TERMS = Registry(Term, "term", "fold.terms", home="fold.terms")

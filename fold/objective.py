"""The joint objective of unfolding: task losses of the paths and self-distillation from the deepest to the seed.

    L = L_task(deepest) + a_seed * L_task(seed) + a_sampled * mean over sampled paths of L_task
        + b * KL( sg[p_deepest] || p_seed )                                          (arXiv 2505.21237)

Each of these is a term with a weight of its own over training. A further one is a subclass of `Term` in any module; a
package offers it as an entry point of the group `fold.terms`.
"""

from __future__ import annotations

import math
from abc import ABCMeta, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor, nn

from fold.errors import FoldError
from fold.losses import Counts, Targets, attention_losses, ctc_losses, divergence
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
    costs WER; from the first update on the teacher is worth nothing and can drag the seed along (part B of `RESULTS.md`
    compares the choices).

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


@dataclass(frozen=True)
class Losses:
    """The total to minimise and its named parts, detached and without weights (what is not computed is absent)."""

    total: Tensor
    parts: dict[str, Tensor]


@dataclass(frozen=True)
class JointObjective:
    """The weighted sum of its terms.

    Args:
        deepest: The task loss of the deepest path.
        seed: The task loss of the seed.
        sampled: The task loss of the sampled paths.
        distillation: From the deepest path to the seed.
        further: Terms of your own, by the name under which their loss is logged.
        ctc_weight: Share of CTC in the losses of a model with an attention decoder; without one CTC is all.
        label_smoothing: Of the attention decoder's targets.

    Raises:
        FoldError: A setting is out of range, or a further term has the name of another.
    """

    deepest: DeepestTask = DeepestTask()
    seed: SeedTask = SeedTask()
    sampled: SampledTask = SampledTask()
    distillation: Distillation = Distillation()
    further: dict[str, Term] = field(default_factory=dict)
    ctc_weight: float = 0.3
    label_smoothing: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.ctc_weight <= 1:
            raise FoldError(f"model.objective.ctc_weight is {self.ctc_weight}: expected a share, 0 to 1")
        if not 0 <= self.label_smoothing < 1:
            raise FoldError(f"model.objective.label_smoothing is {self.label_smoothing}: expected 0 to below 1")
        own = self._own()
        if taken := [name for name in self.further if name in own]:
            raise FoldError(f"model.objective.further: {taken[0]} is a term already; give yours another name")

    @property
    def terms(self) -> dict[str, Term]:
        """All terms by name, in the order in which they are added."""
        return self._own() | self.further

    def needs_hidden(self, progress: float) -> bool:
        """Whether a term that counts at `progress` looks at what each layer call gave."""
        return any(term.needs_hidden and term.computed(progress) for term in self.terms.values())

    def new_companions(self, model: Recogniser, sample_rate: int) -> nn.ModuleDict:
        """The companions of those terms that have one, by the names of the terms (see `Term.new_companion`)."""
        found = {name: term.new_companion(model, sample_rate) for name, term in self.terms.items()}
        return nn.ModuleDict({name: companion for name, companion in found.items() if companion is not None})

    def __call__(
        self,
        paths: StepPaths,
        outputs: PathOutputs,
        targets: Targets,
        progress: float,
        counts: Counts | None = None,
        heard: Heard | None = None,
        companions: Mapping[str, nn.Module] = MappingProxyType({}),
    ) -> Losses:
        """The losses of a training step.

        paths: of the step; outputs: of `paths.in_order`; progress: share of the training updates done; counts: see
        `Counts` (None: this batch's own); heard: by the model; companions: of `new_companions`.
        """
        counts = counts or Counts.of(targets.num_units, outputs.num_frames)
        task_losses = self._of_utterances(outputs, targets, counts)
        step = StepOutputs(paths, outputs, targets, counts, self.ctc_weight, task_losses, heard)
        total, parts = task_losses.new_zeros(()), {}
        for name, term in self.terms.items():
            loss = term(replace(step, companion=companions.get(name))) if term.computed(progress) else None
            if loss is not None:
                total = total + term.at(progress) * loss
                parts[name] = loss.detach()
        return Losses(total, parts)

    def _own(self) -> dict[str, Term]:
        return {
            "task_deepest": self.deepest,
            "task_seed": self.seed,
            "task_sampled": self.sampled,
            "distillation": self.distillation,
        }

    def task_losses(self, outputs: PathOutputs, targets: Targets) -> Tensor:
        """The average task loss of each path, (paths,), whatever the weights of the terms."""
        return self._of_utterances(outputs, targets, Counts.of(targets.num_units, outputs.num_frames)).sum(1)

    def _of_utterances(self, outputs: PathOutputs, targets: Targets, counts: Counts) -> Tensor:
        """Each utterance's part in the average task loss of each path, (paths, batch)."""
        paths, batch = outputs.ctc_log_probs.shape[:2]
        repeated = targets.repeat(paths)
        losses = ctc_losses(outputs.ctc_log_probs.flatten(0, 1), outputs.num_frames.repeat(paths), repeated)
        if outputs.decoder_log_probs is not None:
            attention = attention_losses(outputs.decoder_log_probs.flatten(0, 1), repeated, self.label_smoothing)
            losses = self.ctc_weight * losses + (1 - self.ctc_weight) * attention
        return losses.view(paths, batch) * targets.real / counts.units.clamp(min=1)


TERMS = Registry(Term, "term", "fold.terms", home="fold.objective")

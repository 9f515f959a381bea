"""The joint objective of unfolding: task losses of the paths and self-distillation from the deepest to the seed.

    L = L_task(deepest) + a_seed * L_task(seed) + a_sampled * mean over sampled paths of L_task
        + b * KL( sg[p_deepest] || p_seed )                                          (arXiv 2505.21237)

Each of these is a term with a weight of its own over training (see `fold.terms`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from torch import Tensor, nn

from fold.errors import FoldError
from fold.losses import Counts, Targets, attention_losses, ctc_losses
from fold.models.asr import PathOutputs, Recogniser
from fold.sampling import StepPaths
from fold.terms import DeepestTask, Distillation, Heard, SampledTask, SeedTask, StepOutputs, Term


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

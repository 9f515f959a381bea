"""Other teachers than the deepest path for the seed alone: terms that the studies try.

    python -m studies.variants fit --model.objective.distillation.weight=0
        --model.objective.further="{teacher: {class_path: studies.teachers.EveryPath, init_args: {weight: 0.1}}}" ...

All are of CTC; a decoder learns nothing from them.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fold.errors import FoldError
from fold.losses import divergence
from fold.models.asr import PathOutput, Recogniser
from fold.modules.masks import length_mask
from fold.terms import StepOutputs, Term


def softened(step: StepOutputs, teacher: Tensor, student: PathOutput, temperature: float) -> Tensor:
    """Each utterance's part in the average T^2 KL(sg[teacher] || student), (batch,), of distributions at temperature T
    (Hinton et al., arXiv 1503.02531). teacher: log-probabilities, (batch, frames, units)."""
    frames = length_mask(student.num_frames, teacher.shape[1], teacher.device)
    both = [(log_probs / temperature).log_softmax(-1) for log_probs in (teacher, student.ctc_log_probs)]
    losses = divergence(*both, frames) * step.targets.real
    return temperature**2 * losses / step.counts.frames.clamp(min=1)


@dataclass(frozen=True)
class Softened(Term):
    """A term that compares distributions.

    Args:
        temperature: Above 1 it compares what else the teacher thinks possible, too.
    """

    weight: float = 0.1
    start: float = 0.5
    end: float = 1.0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.temperature > 0:
            raise FoldError(f"a temperature of {self.temperature}: it must be above 0")


@dataclass(frozen=True)
class EveryPath(Softened):
    """The divergence of every other path of the step, the seed and the sampled ones, from the deepest; their mean."""

    def __call__(self, step: StepOutputs) -> Tensor | None:
        students = step.outputs[1:]
        if not students:
            return None
        teacher = step.deepest.ctc_log_probs
        return torch.stack([softened(step, teacher, student, self.temperature) for student in students]).sum(1).mean()


@dataclass(frozen=True)
class Right(Softened):
    """The divergence of the seed from the deepest path, at utterances that the deepest path transcribes without error
    (greedily)."""

    def __call__(self, step: StepOutputs) -> Tensor | None:
        if step.seed is None:
            return None
        losses = softened(step, step.deepest.ctc_log_probs, step.seed, self.temperature)
        return (losses * transcribed(step, step.deepest)).sum()


def transcribed(step: StepOutputs, output: PathOutput) -> Tensor:
    """At which utterances the best unit of each frame, repeats and blanks left out, is the transcript, (batch,)."""
    best = output.ctc_log_probs.argmax(-1)
    frames = length_mask(output.num_frames, best.shape[1], best.device)
    kept = (best != 0) & frames & (best != torch.nn.functional.pad(best, (1, 0))[:, :-1])
    right = [
        torch.equal(units[chosen], wanted[:length])
        for units, chosen, wanted, length in zip(
            best, kept, step.targets.units, step.targets.num_units.tolist(), strict=True
        )
    ]
    return torch.tensor(right, device=best.device)


@dataclass(frozen=True)
class LikeStates(Term):
    """The seed's state after each layer should have the direction of the deepest path's after the layer's last run:
    1 - cosine, over frames and layers. No gradient enters the deepest path's."""

    weight: float = 0.1
    start: float = 0.5
    end: float = 1.0
    needs_hidden = True

    def __call__(self, step: StepOutputs) -> Tensor | None:
        if step.seed is None:
            return None
        assert step.seed.hidden is not None and step.deepest.hidden is not None
        last = dict(zip(step.deepest.path.layers, step.deepest.hidden, strict=True))
        far = [
            1 - torch.cosine_similarity(state, last[layer].detach(), dim=-1)
            for layer, state in zip(step.seed.path.layers, step.seed.hidden, strict=True)
        ]
        frames = length_mask(step.seed.num_frames, far[0].shape[1], far[0].device) * step.targets.real[:, None]
        return (torch.stack(far).mean(0) * frames).sum() / step.counts.frames.clamp(min=1)


class Average(nn.Module):
    """A frozen copy of a model that follows it: before each batch, decay times itself plus the rest of the model."""

    def __init__(self, model: Recogniser, decay: float) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).requires_grad_(False)
        self.decay = decay
        self._followed = (model,)  # in a tuple, so that it is not registered once more

    @torch.no_grad()
    def follow(self) -> None:
        for mine, theirs in zip(self.model.parameters(), self._followed[0].parameters(), strict=True):
            mine.lerp_(theirs, 1 - self.decay)

    def train(self, mode: bool = True) -> Average:
        """It always hears without dropout and masks."""
        return super().train(False)


@dataclass(frozen=True)
class FromAverage(Softened):
    """The divergence of all paths of the step from the deepest path of the average model, which hears the batch
    without masks (Tarvainen and Valpola, arXiv 1703.01780); their mean.

    Args:
        decay: Of the average.
    """

    decay: float = 0.995

    def new_companion(self, model: Recogniser, sample_rate: int) -> nn.Module:
        return Average(model, self.decay)

    def __call__(self, step: StepOutputs) -> Tensor | None:
        assert isinstance(step.companion, Average) and step.heard is not None
        step.companion.follow()
        with torch.no_grad():
            [taught] = step.companion.model(step.heard.waveforms, step.heard.num_samples, [step.paths.deepest])
        losses = [softened(step, taught.ctc_log_probs, student, self.temperature) for student in step.outputs]
        return torch.stack(losses).sum(1).mean()

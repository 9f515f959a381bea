"""Thin students of a foundation model: a narrower network that learns its teacher's hidden states besides the task.

    python -m studies.variants fit --config experiments/wav2vec2_small_compact.yaml ...
        --model.network=studies.students.Thin --model.network.teacher=FOLDER --model.network.shape="{...}"
        --model.objective.further="{teacher: {class_path: studies.students.LikeTeacher, init_args: {source: FOLDER}}}"

The losses are those of DistilHuBERT (Chang et al., 2022, arXiv 2110.01900) and DPHuBERT (Peng et al., 2023, arXiv
2305.17651), at the width of the student in all layers ("deep and thin": Ashihara et al., 2022, arXiv 2207.06867).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fold.models import Foundation, Recogniser
from fold.models.foundation.sources import find_source
from fold.modules.masks import length_mask
from fold.paths import PathSpace
from fold.terms import StepOutputs, Term

FEATURES = "stem.waveform_encoder."


@dataclass(frozen=True)
class Thin(Foundation):
    """A network of a shape of its own, with random weights but for the convolutions on the waveform, which are its
    teacher's.

    Args:
        teacher: A source; its convolutions must be those of the shape.
    """

    teacher: str = ""

    CHANGEABLE = (*Foundation.CHANGEABLE, "teacher")

    @torch.no_grad()
    def load_pretrained(self, model: Recogniser, sample_rate: int) -> None:
        source = find_source(self.teacher)
        for name, weight in model.state_dict().items():
            if name.startswith(FEATURES):
                weight.copy_(source.weights.joined(source.names(name)))


@dataclass(frozen=True)
class LikeTeacher(Term):
    """The deepest path's hidden states should be, after a linear map of each, those of a teacher that hears the same:
    the mean absolute difference over features, and minus the log-sigmoid of the cosine, over frames and layers.

    Args:
        source: The teacher, all of whose layers run.
        layers: Whose states are learned, as numbers of the teacher's layers from 1; the student's are those at the same
            share of its depth.
        cosine: Weight of the second part.
    """

    source: str = ""
    layers: tuple[int, ...] = ()
    cosine: float = 1.0

    needs_hidden = True

    def new_companion(self, model: Recogniser, sample_rate: int) -> Teacher:
        return Teacher(self.source, tuple(self.layers), model.ctc_head.in_features, sample_rate)

    def __call__(self, step: StepOutputs) -> Tensor:
        states = step.deepest.hidden
        assert isinstance(step.companion, Teacher) and step.heard is not None and states is not None
        targets, total = step.companion.states(step.heard.waveforms, step.heard.num_samples)
        places = [round(layer * len(states) / total) - 1 for layer in self.layers]
        predicted = step.companion.mapped([states[place] for place in places])
        frames = length_mask(step.deepest.num_frames, states[0].shape[1], states[0].device)
        counts = frames * step.targets.real[:, None]
        losses = [
            distance(ours.float(), theirs.float(), self.cosine) for ours, theirs in zip(predicted, targets, strict=True)
        ]
        return (torch.stack(losses).mean(0) * counts).sum() / step.counts.frames.clamp(min=1)


def distance(ours: Tensor, theirs: Tensor, cosine: float) -> Tensor:
    """Of each frame. ours, theirs: (batch, frames, dim); returns (batch, frames)."""
    return (ours - theirs).abs().mean(-1) - cosine * F.logsigmoid(F.cosine_similarity(ours, theirs, dim=-1))


class Teacher(nn.Module):
    """A foundation model that only speaks, and the linear maps to its states, which learn.

    It is no submodule: checkpoints hold the maps alone. source, sample_rate: see `LikeTeacher`; dim: of the student.
    """

    def __init__(self, source: str, layers: Sequence[int], dim: int, sample_rate: int) -> None:
        super().__init__()
        self.network = Foundation(source=source, keep_head=False, masking=None)
        self.layers, self.sample_rate = layers, sample_rate
        self.maps = nn.ModuleList(nn.Linear(dim, self.network.original.dim) for _ in layers)
        self._loaded: list[Recogniser] = []

    def mapped(self, states: Sequence[Tensor]) -> list[Tensor]:
        """The student's states, (batch, frames, dim) each, at the width of the teacher's."""
        return [to_teacher(state) for to_teacher, state in zip(self.maps, states, strict=True)]

    @torch.no_grad()
    def states(self, waveforms: Tensor, num_samples: Tensor) -> tuple[list[Tensor], int]:
        """What the teacher's layers give of waveforms, (batch, frames, its dim) each, and how many layers it has."""
        if not self._loaded:
            model = self.network.build(2, self.sample_rate)
            self.network.load_pretrained(model, self.sample_rate)
            self._loaded.append(model.eval().to(waveforms.device))
        [teacher] = self._loaded
        total = len(teacher.unfolding.layers)
        [output] = teacher(waveforms, num_samples, [PathSpace(total, 1).seed], with_hidden=True)
        assert output.hidden is not None
        return [output.hidden[layer - 1] for layer in self.layers], total

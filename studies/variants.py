"""Variants of the method that the study tries beside fold's own, and the `fold` command that knows them.

    python -m studies.variants fit --model.network.class_path=studies.variants.PrivateNorms ...

None of them is part of fold: one that earned its place would move there.
"""

from __future__ import annotations

import copy
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fold.cli import main
from fold.losses import ctc_losses
from fold.models import Conformer, Recogniser
from fold.modules.norms import MaskedBatchNorm
from fold.paths import Path
from fold.terms import StepOutputs, Term
from fold.unfolding import Unfolding

REPEATS = 2  # the most that a layer runs in the study


class OwnRepeats(Unfolding):
    """Unfolding whose repeats of a layer have something of their own.

    layers: for each physical layer the module of its first call, its second, and so on, which share weights.
    """

    def __init__(self, layers: Sequence[Sequence[nn.Module]], checkpoint_activations: bool = False) -> None:
        super().__init__([first for first, *_ in layers], checkpoint_activations)
        self.later = nn.ModuleList(nn.ModuleList(later) for _, *later in layers)

    def layer_at(self, layer: int, repeat: int) -> nn.Module:
        return self.later[layer][repeat - 1] if repeat else self.layers[layer]


class OtherCalls(Unfolding, ABC):
    """Runs other calls than the layers of a path one after the other."""

    def forward(self, x: Tensor, paths: Sequence[Path], *args: object) -> list[Tensor]:
        return super().forward(x, [self.calls_of(path) for path in paths], *args)

    def walk(self, x: Tensor, paths: Sequence[Path], *args: object) -> Iterator[tuple[int, Tensor]]:
        return super().walk(x, [self.calls_of(path) for path in paths], *args)

    @abstractmethod
    def calls_of(self, path: Path) -> Path:
        """The calls in which a path is run, by the numbers that `layer_at` knows."""


class CyclicUnfolding(OtherCalls):
    """Runs a path's repeats after all layers have run (1 2 1 2) where the path has them adjacent (1 1 2 2)."""

    def calls_of(self, path: Path) -> Path:
        return cyclic(path)


def cyclic(path: Path) -> Path:
    """The path of the same calls in cyclic order: each round runs every layer that has calls left."""
    repeats = [path.layers.count(layer) for layer in range(max(path.layers) + 1)]
    rounds = range(max(repeats))
    return Path(tuple(layer for done in rounds for layer, times in enumerate(repeats) if times > done))


class Feedback(nn.Module):
    """Adds to frames what the CTC head says of them so far: x + project(softmax(head(norm(x)))).

    It is the self-conditioning of Nozaki and Komatsu (arXiv 2104.02724), between the rounds of a shared encoder. It
    begins as nothing. norm, head: those of the model, which they stay parameters of.
    """

    def __init__(self, norm: nn.Module, head: nn.Linear) -> None:
        super().__init__()
        self._answer = (norm, head)  # in a tuple, so that they are not registered once more
        self.project = nn.Linear(head.out_features, head.in_features, bias=False)
        nn.init.zeros_(self.project.weight)

    def forward(self, x: Tensor, *args: object) -> Tensor:
        norm, head = self._answer
        return x + self.project(head(norm(x)).softmax(-1))


class Told(nn.Module):
    """A layer that is given its frames with what the CTC head says of them. Parameters stay those of the two parts."""

    def __init__(self, feedback: Feedback, layer: nn.Module) -> None:
        super().__init__()
        self._parts = (feedback, layer)

    def forward(self, x: Tensor, *args: object) -> Tensor:
        feedback, layer = self._parts
        told: Tensor = layer(feedback(x), *args)
        return told


class SelfConditionedUnfolding(Unfolding):
    """Tells a layer, when it runs again, what the CTC head says of its input."""

    def __init__(self, layers: Sequence[nn.Module], feedback: Feedback, checkpoint_activations: bool = False) -> None:
        super().__init__(layers, checkpoint_activations)
        self.feedback = feedback
        self._told = [Told(feedback, layer) for layer in layers]

    def layer_at(self, layer: int, repeat: int) -> nn.Module:
        return self._told[layer] if repeat else self.layers[layer]


class FedUnfolding(CyclicUnfolding):
    """Cyclic order, with a call of `feedback` between rounds: it is named in paths as the layer after the last."""

    def __init__(self, layers: Sequence[nn.Module], feedback: Feedback, checkpoint_activations: bool = False) -> None:
        super().__init__(layers, checkpoint_activations)
        self.feedback = feedback

    def calls_of(self, path: Path) -> Path:
        calls: list[int] = []
        for layer in super().calls_of(path).layers:
            if calls and layer <= calls[-1]:
                calls.append(len(self.layers))
            calls.append(layer)
        return Path(tuple(calls))

    def layer_at(self, layer: int, repeat: int) -> nn.Module:
        return self.feedback if layer == len(self.layers) else super().layer_at(layer, repeat)

    def _check(self, paths: Sequence[Path]) -> None:
        super()._check([Path(tuple(layer for layer in path.layers if layer != len(self.layers))) for path in paths])


def sharing(layer: nn.Module, own: tuple[type[nn.Module], ...]) -> nn.Module:
    """A copy of a layer that shares all parameters but those in modules of the types `own`."""
    twin = copy.deepcopy(layer)
    for name, module in twin.named_modules():
        if not isinstance(module, own):
            module._parameters.update(layer.get_submodule(name)._parameters)
    return twin


class Adapted(nn.Module):
    """A layer followed by a low-rank adapter, which begins as nothing."""

    def __init__(self, layer: nn.Module, dim: int, rank: int) -> None:
        super().__init__()
        self.layer, self.down, self.up = layer, nn.Linear(dim, rank, bias=False), nn.Linear(rank, dim, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor, *args: object) -> Tensor:
        x = self.layer(x, *args)
        return x + self.up(self.down(x))


@dataclass(frozen=True)
class PrivateNorms(Conformer):
    """Every LayerNorm once for each (layer, repeat)."""

    def build(self, vocab_size: int, sample_rate: int) -> Recogniser:
        return with_own_repeats(super().build(vocab_size, sample_rate), lambda layer: sharing(layer, (nn.LayerNorm,)))


@dataclass(frozen=True)
class PrivateBatchNorm(Conformer):
    """BatchNorm in the convolution module, once for each (layer, repeat)."""

    def build(self, vocab_size: int, sample_rate: int) -> Recogniser:
        return with_own_repeats(
            super().build(vocab_size, sample_rate), lambda layer: sharing(layer, (MaskedBatchNorm,))
        )


@dataclass(frozen=True)
class Adapters(Conformer):
    """A low-rank adapter after every repeat of a layer but its first."""

    rank: int = 8

    def build(self, vocab_size: int, sample_rate: int) -> Recogniser:
        return with_own_repeats(
            super().build(vocab_size, sample_rate), lambda layer: Adapted(layer, self.dim, self.rank)
        )


@dataclass(frozen=True)
class CyclicOrder(Conformer):
    """Repeats in cyclic order."""

    def build(self, vocab_size: int, sample_rate: int) -> Recogniser:
        model = super().build(vocab_size, sample_rate)
        model.unfolding = CyclicUnfolding(model.unfolding.layers, self.checkpoint_activations)
        return model


@dataclass(frozen=True)
class SelfConditioned(Conformer):
    """Each repeat of a layer is told what the CTC head says of its input; best with the term `BetweenRepeats`."""

    def build(self, vocab_size: int, sample_rate: int) -> Recogniser:
        return with_feedback(super().build(vocab_size, sample_rate), SelfConditionedUnfolding)


@dataclass(frozen=True)
class BetweenRepeats(Term):
    """The CTC loss of the states of the deepest path between two runs of a layer, their mean (Lee and Watanabe, arXiv
    2102.03216, for plain encoders). Repeats have to be adjacent: in cyclic order these states are others."""

    needs_hidden = True

    def __call__(self, step: StepOutputs) -> Tensor | None:
        layers, output = step.deepest.path.layers, step.deepest
        assert output.hidden is not None and output.read is not None
        states = [x for x, here, then in zip(output.hidden, layers, layers[1:], strict=False) if here == then]
        if not states:
            return None
        log_probs = output.read(torch.cat(states))
        targets = step.targets.repeat(len(states))
        losses = ctc_losses(log_probs, output.num_frames.repeat(len(states)), targets)
        return (losses * targets.real).sum() / (step.counts.units.clamp(min=1) * len(states))


@dataclass(frozen=True)
class CyclicFeedback(Conformer):
    """Repeats in cyclic order, where each round after the first is told what the CTC head says of the one before."""

    def build(self, vocab_size: int, sample_rate: int) -> Recogniser:
        return with_feedback(super().build(vocab_size, sample_rate), FedUnfolding)


def with_feedback(model: Recogniser, kind: type[SelfConditionedUnfolding] | type[FedUnfolding]) -> Recogniser:
    """The model with its layers in an unfolding that tells them what its head says."""
    plain, feedback = model.unfolding, Feedback(model.final_norm, model.ctc_head)
    model.unfolding = kind(list(plain.layers), feedback, plain.checkpoint_activations)
    return model


def with_own_repeats(model: Recogniser, repeated: Any) -> Recogniser:
    """The model with `repeated(layer)` in place of each later call of a layer."""
    calls = [[layer, *(repeated(layer) for _ in range(REPEATS - 1))] for layer in model.unfolding.layers]
    model.unfolding = OwnRepeats(calls, model.unfolding.checkpoint_activations)
    return model


if __name__ == "__main__":
    import studies.conditioning
    import studies.relaxed
    import studies.rivals
    import studies.students
    import studies.teachers
    import studies.variants  # noqa: F401 (under the names that settings and checkpoints use, not as __main__)

    sys.exit(main())

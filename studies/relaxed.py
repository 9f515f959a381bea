"""Folding that is relaxed: a repeat keeps of the removed layer what a matrix of low rank can hold.

python -m studies.variants fit --config experiments/wav2vec2_small_fold.yaml ...
    --model.network.class_path=studies.relaxed.Relaxed --model.network.keep=[1,2,4,6] --model.network.rank=8

As the Relaxed Recursive Transformers of Bae et al. (2024, arXiv 2410.20672), there of language models.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fold.errors import FoldError
from fold.models import Foundation, Recogniser
from fold.unfolding import Unfolding
from studies.variants import OwnRepeats


class Near(nn.Module):
    """A linear map that differs from another's by a matrix of low rank, and has a bias of its own.

    linear: the other, which stays a parameter of whoever owns it; rank: of the difference, which begins as nothing.
    """

    def __init__(self, linear: nn.Linear, rank: int) -> None:
        super().__init__()
        self._linear = (linear,)  # in a tuple, so that it is not registered once more
        self.down = nn.Linear(linear.in_features, rank, bias=False)
        self.up = nn.Linear(rank, linear.out_features)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., in_features). Returns (..., out_features)."""
        return nn.functional.linear(x, self._linear[0].weight) + self.up(self.down(x))

    @torch.no_grad()
    def approach(self, target: nn.Linear) -> None:
        """Makes the map as close to another of its shape as the rank allows: the truncated singular value decomposition
        of their difference, shared evenly between both factors."""
        left, values, right = torch.linalg.svd(target.weight - self._linear[0].weight, full_matrices=False)
        rank = min(self.down.out_features, len(values))
        root = values[:rank].sqrt()
        self.up.weight[:, :rank] = left[:, :rank] * root
        self.down.weight[:rank] = root[:, None] * right[:rank]
        if target.bias is not None:
            self.up.bias.copy_(target.bias)


@dataclass(frozen=True)
class Relaxed(Foundation):
    """A repeat of a kept layer stands for the removed layer that follows it: norms and biases are that layer's, weights
    the kept layer's and a matrix of low rank. A kept layer without a removed one after it repeats as it is.

    Args:
        rank: Of what the matrices of a repeat differ by.

    Raises:
        FoldError: Layers are not kept singly, or the rank is below 1.
    """

    rank: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rank < 1 or self.keep == "mean":
            raise FoldError("model.network: a relaxed fold has a rank from 1, and keeps single layers")

    def build(self, vocab_size: int, sample_rate: int) -> Recogniser:
        model = super().build(vocab_size, sample_rate)
        followers = self._followers()
        calls = [
            [layer, near(layer, self.rank)] if place in followers else [layer]
            for place, layer in enumerate(model.unfolding.layers)
        ]
        model.unfolding = Repeats(calls, model.unfolding.checkpoint_activations)
        return model

    @torch.no_grad()
    def load_pretrained(self, model: Recogniser, sample_rate: int) -> None:
        if self.source is None:
            return
        relaxed = model.unfolding
        model.unfolding = Unfolding(list(relaxed.layers))  # the layers that are kept, as the source names them
        super().load_pretrained(model, sample_rate)
        model.unfolding = relaxed
        whole = Foundation(source=self.source, keep_head=False, language=self.language, subnet=self.subnet)
        original = whole.build(2, sample_rate)
        whole.load_pretrained(original, sample_rate)
        for place, follower in self._followers().items():
            become(relaxed.layer_at(place, 1), original.unfolding.layers[follower])

    def _followers(self) -> dict[int, int]:
        """By the place of a kept layer, the number in the original of the removed layer that follows it; from 0."""
        kept = [group[0] for group in self._groups()]
        removed = set(range(self.original.num_layers)) - set(kept)
        return {place: number + 1 for place, number in enumerate(kept) if number + 1 in removed}


class Repeats(OwnRepeats):
    """Calls beyond those that a layer has something of its own for are as the last of these."""

    def layer_at(self, layer: int, repeat: int) -> nn.Module:
        return super().layer_at(layer, min(repeat, len(self.later[layer])))


def near(layer: nn.Module, rank: int) -> nn.Module:
    """A copy of a layer whose linear maps are the layer's own, but for a matrix of low rank."""
    twin = copy.deepcopy(layer)
    for name, module in layer.named_modules():
        if isinstance(module, nn.Linear):
            twin.set_submodule(name, Near(module, rank))
    return twin


def become(repeat: nn.Module, layer: nn.Module) -> None:
    """Gives a repeat what another layer has, as far as the rank of its linear maps allows."""
    for name, module in layer.named_modules():
        ours = repeat.get_submodule(name)
        if isinstance(ours, Near):
            ours.approach(module)
        else:
            for own, parameter in module.named_parameters(recurse=False):
                ours.get_parameter(own).copy_(parameter)

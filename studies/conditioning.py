"""Layers that know which repeat they run, and how many are left.

python -m studies.variants fit --model.network.class_path=studies.conditioning.DepthConditioned ...
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fold.models import Conformer, Recogniser
from fold.paths import Path
from studies.variants import OtherCalls


class Modulated(nn.Module):
    """A layer after a gain and a shift of each feature (FiLM: Perez et al., arXiv 1709.07871), which begin as nothing.

    layer: stays a module of whoever owns it.
    """

    def __init__(self, layer: nn.Module, dim: int) -> None:
        super().__init__()
        self._layer = (layer,)  # in a tuple, so that it is not registered once more
        self.gain, self.shift = nn.Parameter(torch.zeros(dim)), nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor, *args: object) -> Tensor:
        result: Tensor = self._layer[0](x * (1 + self.gain) + self.shift, *args)
        return result


class ConditionedUnfolding(OtherCalls):
    """Each call of a layer is modulated by how often the layer ran before on this path, and how often it will yet.

    Paths share a prefix only where both agree. Up to `repeats` runs of a layer; more are as the last ones.
    """

    def __init__(self, layers: Sequence[nn.Module], dim: int, repeats: int, checkpoint_activations: bool) -> None:
        super().__init__(layers, checkpoint_activations)
        self.repeats = repeats
        self.calls = nn.ModuleList(Modulated(layer, dim) for layer in layers for _ in range(repeats * repeats))

    def calls_of(self, path: Path) -> Path:
        """The path with the number of a call in `calls` in place of the layer."""
        numbers = []
        for position, layer in enumerate(path.layers):
            before, left = path.layers[:position].count(layer), path.layers[position + 1 :].count(layer)
            # Of one layer, the calls with more left come first: so `forward` finds them in the order of the path.
            done, before = self.repeats - 1 - min(left, self.repeats - 1), min(before, self.repeats - 1)
            numbers.append((layer * self.repeats + done) * self.repeats + before)
        return Path(tuple(numbers))

    def layer_at(self, layer: int, repeat: int) -> nn.Module:
        return self.calls[layer]

    def _check(self, paths: Sequence[Path]) -> None:
        per_layer = self.repeats * self.repeats
        super()._check([Path(tuple(number // per_layer for number in path.layers)) for path in paths])


@dataclass(frozen=True)
class DepthConditioned(Conformer):
    """Each call of a layer has a gain and a shift of its own for each feature of its input.

    Args:
        repeats: The most runs of a layer that are told apart.
    """

    repeats: int = 2

    def build(self, vocab_size: int, sample_rate: int) -> Recogniser:
        model = super().build(vocab_size, sample_rate)
        layers = list(model.unfolding.layers)
        model.unfolding = ConditionedUnfolding(layers, self.dim, self.repeats, self.checkpoint_activations)
        return model

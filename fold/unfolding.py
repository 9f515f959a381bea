"""The unfolding engine: runs any set of paths over shared layers, each common prefix once.

It knows nothing of speech: the layers are any `nn.Module`s of the form `x = layer(x, *args)`. There are two orders:
`forward` goes layer by layer and keeps all results, for training; `walk` goes path by path and keeps few, for sweeps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from fold.errors import FoldError
from fold.paths import Path


@dataclass
class PrefixNode:
    """A prefix that paths share: reached by running one more layer on its parent's result.

    children: by the layer that runs next; ends: which of the given paths end here; passed: which of them begin with
    this prefix; repeat: how often the layer that leads here ran before it.
    """

    children: dict[int, PrefixNode] = field(default_factory=dict)
    ends: list[int] = field(default_factory=list)
    passed: list[int] = field(default_factory=list)
    repeat: int = 0

    @classmethod
    def tree(cls, paths: Sequence[Path]) -> PrefixNode:
        """The root (empty prefix) of the tree of `paths`."""
        root = cls()
        for index, path in enumerate(paths):
            node = root
            for position, layer in enumerate(path.layers):
                repeat = path.layers[:position].count(layer)
                node = node.children.setdefault(layer, cls(repeat=repeat))
                node.passed.append(index)
            node.ends.append(index)
        return root

    def num_calls(self) -> int:
        """Layer calls that the tree costs: its number of distinct non-empty prefixes."""
        return sum(1 + child.num_calls() for child in self.children.values())


def num_layer_calls(paths: Sequence[Path]) -> int:
    """Layer calls needed to run `paths` together, common prefixes once: what `Unfolding.walk` makes, and the number of
    batches that `Unfolding.forward` computes in fewer calls."""
    return PrefixNode.tree(paths).num_calls()


class Unfolding(nn.Module):
    """Physical layers, run along any set of paths.

    layers: each called as `layer(x, *row_args, *shared_args)`, giving a tensor of x's shape; rows of x (its first
    axis) must not depend on one another.
    checkpoint_activations: recompute each layer call in the backward pass instead of keeping its activations.
    """

    def __init__(self, layers: Iterable[nn.Module], checkpoint_activations: bool = False) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.checkpoint_activations = checkpoint_activations

    def forward(
        self,
        x: Tensor,
        paths: Sequence[Path],
        row_args: Sequence[Tensor] = (),
        shared_args: Sequence[object] = (),
        hidden: list[list[Tensor]] | None = None,
    ) -> list[Tensor]:
        """The result of each path, in the order of `paths`, layer by layer: prefixes that wait for the same layer run
        through it as one batch, so that paths which repeat layers in order take as many calls as the deepest of them.

        x: input of every path, (rows, ...); row_args: one entry per row, (rows, ...) each; shared_args: the same for
        all; hidden: a list for each path, to which is added what each of its layer calls gives, in order.
        Raises FoldError if a path names a layer that does not exist.
        """
        self._check(paths)
        results: dict[int, Tensor] = {}
        waiting: dict[tuple[int, int], list[tuple[PrefixNode, Tensor]]] = {}

        def arrive(node: PrefixNode, x: Tensor) -> None:
            results.update((index, x) for index in node.ends)
            for layer, child in node.children.items():
                waiting.setdefault((layer, child.repeat), []).append((child, x))

        arrive(PrefixNode.tree(paths), x)
        while waiting:
            call = min(waiting)  # the first layer: what waits for it, later layers cannot bring
            nodes, inputs = zip(*waiting.pop(call), strict=True)
            rows = [arg.repeat(len(nodes), *[1] * (arg.dim() - 1)) for arg in row_args]
            outputs = self._call(self.layer_at(*call), torch.cat(inputs), *rows, *shared_args)
            for node, output in zip(nodes, torch.split(outputs, len(x)), strict=True):
                _note(hidden, node, output)
                arrive(node, output)
        return [results[index] for index in range(len(paths))]

    def walk(
        self,
        x: Tensor,
        paths: Sequence[Path],
        row_args: Sequence[Tensor] = (),
        shared_args: Sequence[object] = (),
        hidden: list[list[Tensor]] | None = None,
    ) -> Iterator[tuple[int, Tensor]]:
        """As `forward`, but one call for each distinct prefix, and yields (index of the path, its result) depth first,
        as soon as each is known.

        A prefix's result is dropped once its last branch has been computed, so a caller that consumes each result at
        once never holds more than one result per level of the tree (with `hidden` all of them).
        """
        self._check(paths)
        root = PrefixNode.tree(paths)
        yield from ((index, x) for index in root.ends)
        pending = [(layer, child, x) for layer, child in reversed(root.children.items())]
        del x
        while pending:
            layer, node, x = pending.pop()
            x = self._call(self.layer_at(layer, node.repeat), x, *row_args, *shared_args)
            _note(hidden, node, x)
            yield from ((index, x) for index in node.ends)
            pending += [(next_layer, child, x) for next_layer, child in reversed(node.children.items())]

    def layer_at(self, layer: int, repeat: int) -> nn.Module:
        """The module that runs where physical layer `layer` has run `repeat` times before: the same each time. A
        subclass may give repeats something of their own."""
        return self.layers[layer]

    def _check(self, paths: Sequence[Path]) -> None:
        for path in paths:
            if not all(0 <= layer < len(self.layers) for layer in path.layers):
                raise FoldError(f"path {path}: this model has {len(self.layers)} physical layers")

    def _call(self, layer: nn.Module, x: Tensor, *args: object) -> Tensor:
        again = self.checkpoint_activations and self.training
        output: Tensor = checkpoint(layer, x, *args, use_reentrant=False) if again else layer(x, *args)
        return output


def _note(hidden: list[list[Tensor]] | None, node: PrefixNode, state: Tensor) -> None:
    """Adds a state to those of each path that passes a node."""
    if hidden is not None:
        for index in node.passed:
            hidden[index].append(state)

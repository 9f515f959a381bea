"""Which layers of a pre-trained model a folded one keeps."""

from __future__ import annotations

import math
from typing import Literal

from fold.errors import FoldError
from fold.paths import PathSpace

Keep = Literal["even", "first", "mean"] | tuple[int, ...]


def layer_groups(keep: Keep, num_layers: int, total: int) -> list[list[int]]:
    """For each kept layer, the layers (from 0) of the original whose weights it takes the mean of.

    keep: "even": single layers at an even stride, the first and the last among them; "first": the first ones;
    "mean": all layers, neighbours tied together where the canonical path of full depth repeats one;
    or the numbers, from 1, of the layers that stay. num_layers: layers kept, of `total`.
    Raises FoldError if that many cannot be kept.
    """
    if not 1 <= num_layers <= total:
        raise FoldError(f"num_layers is {num_layers}: this model has {total} layers to keep some of")
    if keep == "even":
        return [[round(index * (total - 1) / max(num_layers - 1, 1))] for index in range(num_layers)]
    if keep == "first":
        return [[index] for index in range(num_layers)]
    if keep == "mean":
        runs = PathSpace(num_layers, math.ceil(total / num_layers)).canonical(total).layers
        return [[place for place, layer in enumerate(runs) if layer == index] for index in range(num_layers)]
    if len(keep) != num_layers or list(keep) != sorted(set(keep)) or not all(1 <= n <= total for n in keep):
        raise FoldError(f"keep is {list(keep)}: expected {num_layers} different layers, in order, of 1 to {total}")
    return [[number - 1] for number in keep]

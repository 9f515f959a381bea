"""The rivals of a foldable model are what they are called."""

import random

import torch
from small_networks import SPACE, built, outputs

from fold.models import Conformer
from fold.paths import Path
from studies.rivals import EarlyExit, EveryDepth, OneDepth


def test_early_exit_stores_every_layer_and_runs_the_first_ones() -> None:
    exits, plain = built(EarlyExit), built(Conformer, num_layers=4)
    plain.load_state_dict(exits.state_dict())
    paths = [SPACE.canonical(depth) for depth in SPACE.depths]
    found = outputs(exits, paths)
    expected = [outputs(plain, [Path(tuple(range(depth)))])[0] for depth in SPACE.depths]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_samplers_of_rivals() -> None:
    every = EveryDepth().paths(SPACE, 0, 0.0, random.Random(1))
    assert sorted(path.depth for path in every.in_order) == list(SPACE.depths)
    assert OneDepth().paths(SPACE, 0, 0.0, random.Random(1)).in_order == [SPACE.deepest]

"""What a model computes, against what its shapes say."""

import dataclasses
import itertools
from pathlib import Path

import pytest
import torch
from models.foundation.compressed import dphubert
from models.foundation.directories import SHAPE
from models.foundation.test_parity import CORPUS, folded

from fold.checkpoint import Description
from fold.evaluation.macs import SECONDS, count_macs, macs_per_second
from fold.models import Conformer, Foundation
from fold.paths import Path as LayerPath
from fold.paths import PathSpace

UNITS = 6
SAMPLES = 4000


def layer(frames: int, dim: int, inner: int, heads_dim: int) -> int:
    """Of attention with `heads_dim` features in all heads together, and of a feed-forward module."""
    attention = 4 * frames * dim * heads_dim + 2 * frames * frames * heads_dim
    return attention + 2 * frames * dim * inner


def test_as_counted_by_hand() -> None:
    model = Foundation(shape=SHAPE).build(UNITS, 16000).eval()
    first = (SAMPLES - 10) // 5 + 1
    frames = (first - 8) // 8 + 1
    features = first * 16 * 10 + frames * 16 * 16 * 8
    projection = frames * 16 * 32
    positions = (frames + 1) * 32 * (32 // 4) * 8  # an even kernel gives a frame too many
    head = frames * 32 * UNITS
    for depth in (1, 4, 8):
        path = LayerPath(tuple(sorted(index % 4 for index in range(depth))))
        stack = depth * layer(frames, 32, 48, 32)
        for mode in (torch.no_grad, torch.inference_mode):
            with mode():
                assert count_macs(model, SAMPLES, path) == features + projection + positions + stack + head


def test_depth_costs_linearly_and_parameters_do_not() -> None:
    network = Foundation(shape=dataclasses.replace(SHAPE, conv_strides=(40, 8)))
    description = Description(network, PathSpace(4), CORPUS, 16000, "nowhere")
    model = description.build().eval()
    before = model.num_parameters()
    macs = list(macs_per_second(model, description).values())
    assert len(macs) == len(description.space.depths) == 5
    frames = network.num_frames(SECONDS * 16000, 16000)
    assert {round((b - a) * SECONDS) for a, b in itertools.pairwise(macs)} == {layer(frames, 32, 48, 32)}
    assert model.num_parameters() == before


def test_pruned_layers_cost_what_is_left_of_them(tmp_path: Path) -> None:
    network = dphubert(tmp_path).network
    model, frames = folded(network), network.num_frames(SAMPLES, 16000)
    once = count_macs(model, SAMPLES, LayerPath((0, 1, 2)))
    for index, (heads, inner) in enumerate(((3, 20), (0, 31), (2, 0))):
        again = count_macs(model, SAMPLES, LayerPath(tuple(sorted((0, 1, 2, index)))))
        assert again - once == layer(frames, 32, inner, 8 * heads)


@pytest.mark.parametrize("compiled", [False, True])
def test_conformers_too_compiled_or_not(compiled: bool) -> None:
    shape = {"num_layers": 2, "dim": 16, "num_heads": 2, "ffn_dim": 24, "kernel_size": 5, "subsampling_channels": 4}
    model = Conformer(**shape, decoder_layers=0, num_mels=16).build(UNITS, 8000).eval()
    one, two, three = (count_macs(model, 8000, LayerPath(layers)) for layers in ((0,), (0, 1), (0, 0, 1)))
    if compiled:
        for module in model.unfolding.layers:
            module.compile(fullgraph=True, dynamic=True)
    assert [count_macs(model, 8000, LayerPath(layers)) for layers in ((0,), (0, 0, 1))] == [one, three]
    assert three - two == two - one > 0

"""Long audio in windows: the same frames, whatever is cut; memory that does not grow."""

from dataclasses import replace

import pytest
import torch
from conftest import TINY_NETWORK
from models.foundation.directories import SHAPE
from torch import Tensor

from fold.decoding.windows import Windows, encode, needed_samples
from fold.errors import FoldError
from fold.models import Architecture, Conformer, Foundation
from fold.paths import PathSpace

NETWORKS = {
    "conformer": Conformer(**TINY_NETWORK),
    "foundation": Foundation(shape=replace(SHAPE, num_layers=2, conv_norm="layer")),
}
RATE = 8000


def position_blind(architecture: Architecture) -> torch.nn.Module:
    """A model whose frames depend on nothing outside them and their neighbourhood: no layer, no normalisation."""
    model = architecture.build(5, RATE).eval()
    model.unfolding.layers = torch.nn.ModuleList([torch.nn.Identity()])
    model.unfolding._call = lambda layer, x, *args: x
    if isinstance(architecture, Conformer):
        model.stem.frontend.normalisation = "global"
    return model


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("samples", [16001, 40000, 53123])
def test_joined_windows_are_the_whole(name: str, samples: int) -> None:
    torch.manual_seed(0)
    model, path = position_blind(NETWORKS[name]), PathSpace(1, 1).seed
    waveform = 0.1 * torch.randn(1, samples)
    whole = encode(model, NETWORKS[name], waveform, RATE, path, Windows(100.0))
    cut = encode(model, NETWORKS[name], waveform, RATE, path, Windows(2.0, 0.5))
    assert cut.num_frames.tolist() == [NETWORKS[name].num_frames(samples, RATE)] == whole.num_frames.tolist()
    assert cut.ctc_log_probs.shape == whole.ctc_log_probs.shape
    assert torch.allclose(cut.ctc_log_probs, whole.ctc_log_probs, atol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_no_window_is_longer_than_stated(name: str) -> None:
    model, lengths = NETWORKS[name].build(5, RATE).eval(), []
    forward = model.forward

    def watched(waveforms: Tensor, *args: object) -> object:
        lengths.append(waveforms.shape[1])
        return forward(waveforms, *args)

    model.forward = watched
    encode(model, NETWORKS[name], torch.randn(1, 30 * RATE), RATE, PathSpace(2).deepest, Windows(3.0, 0.5))
    assert len(lengths) in (12, 13) and max(lengths) <= 3.0 * RATE


@pytest.mark.parametrize("name", NETWORKS)
def test_needed_samples(name: str) -> None:
    network = NETWORKS[name]
    for frames in (1, 2, 3, 17, 500):
        samples = needed_samples(network, frames, RATE)
        assert network.num_frames(samples, RATE) == frames
        assert network.num_frames(samples - 1, RATE) == frames - 1


def test_windows_must_be_longer_than_their_overlaps() -> None:
    with pytest.raises(FoldError, match="longer than two overlaps"):
        Windows(4.0, 2.0)

"""What is pruned is what matters least, and what is left is what it was."""

from pathlib import Path

import pytest
import torch
from models.foundation.directories import SHAPE
from models.foundation.test_parity import CORPUS, folded, log_probs, noise

from fold.checkpoint import Description
from fold.data.batching import Batch
from fold.errors import FoldError
from fold.losses import Targets, ctc_losses
from fold.models import Foundation, Recogniser
from fold.paths import PathSpace
from studies.pruning import groups_of, importance, kept, pruned

NETWORK = Foundation(shape=SHAPE)
DESCRIPTION = Description(NETWORK, PathSpace(4, 1), CORPUS, 16000, "nowhere")


def some_model() -> Recogniser:
    torch.manual_seed(0)
    model = DESCRIPTION.build().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def batch() -> Batch:
    waveforms, num_samples = noise(4001, 2713)
    return Batch(waveforms, num_samples, torch.tensor([[2, 3, 4], [3, 2, 0]]), torch.tensor([3, 2]), [], [], [], [])


def loss(model: Recogniser) -> torch.Tensor:
    given = batch()
    output = model(given.waveforms, given.num_samples, [PathSpace(4).seed])
    return ctc_losses(output.ctc_log_probs[0], output.num_frames, Targets(given.units, given.num_units)).sum()


def read_back(content: dict, folder: Path) -> Foundation:
    torch.save(content, folder / "pruned.pth")
    return Foundation(source=str(folder / "pruned.pth"))


@torch.no_grad()
def test_what_a_head_matters_is_what_the_loss_makes_of_its_gate() -> None:
    model = some_model()
    with torch.enable_grad():
        scores = importance(model, [batch()])
    for place, index in ((0, 1), (2, 3), (1, 5), (7, 40)):
        group = groups_of(model)[place]
        columns = group.outer.weight[:, index * group.size : (index + 1) * group.size]
        ends = []
        for factor in (1.02, 0.98 / 1.02):
            columns.mul_(factor)
            ends.append(float(loss(model)))
        columns.div_(0.98)
        assert scores[place][index] == pytest.approx(abs(ends[0] - ends[1]) / 0.04, rel=0.03)


def test_the_whole_model_comes_back_with_its_head(tmp_path: Path) -> None:
    model = some_model()
    everything = kept(groups_of(model), [torch.ones(g.number) for g in groups_of(model)], 10, 10)
    network = read_back(pruned(model, DESCRIPTION, everything), tmp_path)
    assert network.shape.num_heads == (4,) * 4 and network.vocabulary == tuple(CORPUS.characters)
    waveforms, num_samples = noise(4001, 2713)
    for ours, theirs in zip(*(log_probs(m, waveforms, num_samples) for m in (folded(network), model)), strict=True):
        assert (ours - theirs).abs().max() < 1e-5


def test_heads_and_features_that_add_nothing_go_first(tmp_path: Path) -> None:
    model = some_model()
    # Attention at even places, feed-forward at odd ones; 6 of 16 heads, 72 of 192 features: the same share.
    idle = {0: [1, 2], 3: list(range(24)), 4: [0, 1, 2, 3], 7: list(range(48))}
    with torch.no_grad():
        for place, indices in idle.items():
            group = groups_of(model)[place]
            for index in indices:
                group.outer.weight[:, index * group.size : (index + 1) * group.size] = 0
            if len(indices) == group.number:
                group.outer.bias.zero_()
    groups, before = groups_of(model), model.num_parameters()
    budget = before - sum(groups[place].cost * len(indices) for place, indices in idle.items())
    stays = kept(groups, importance(model, [batch()]), before, budget)
    for place, group in enumerate(groups):
        assert stays[place].tolist() == [i for i in range(group.number) if i not in idle.get(place, [])]
    network = read_back(pruned(model, DESCRIPTION, stays), tmp_path)
    assert network.shape.num_heads == (2, 4, 0, 4) and network.shape.ffn_dim == (48, 24, 48, 0)
    smaller = folded(network)
    bias_of_gone_modules = 2 * 32
    assert smaller.num_parameters() == budget - bias_of_gone_modules
    waveforms, num_samples = noise(4001, 2713)
    for ours, theirs in zip(*(log_probs(m, waveforms, num_samples) for m in (smaller, model)), strict=True):
        assert (ours - theirs).abs().max() < 1e-5


def test_a_budget_out_of_reach_is_refused() -> None:
    model = some_model()
    scores = [torch.ones(group.number) for group in groups_of(model)]
    with pytest.raises(FoldError, match="100 parameters cannot be reached"):
        kept(groups_of(model), scores, model.num_parameters(), 100)

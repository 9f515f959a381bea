"""A relaxed fold at full rank is the foundation model, at a lower rank near it, and smaller."""

from pathlib import Path

import pytest
import torch
from conftest import SMALL_FOUNDATIONS, exported
from models.foundation.test_parity import noise

from fold.errors import FoldError
from fold.models import Foundation, Recogniser
from fold.paths import PathSpace
from studies.relaxed import Near, Relaxed

KEPT = (1, 2, 4, 6)
WHOLE_PATH = PathSpace(4, (1, 2, 2, 1)).deepest


@pytest.fixture
def source(small_foundations: Path) -> str:
    return str(exported(small_foundations, SMALL_FOUNDATIONS[0]))


def loaded(network: Foundation) -> Recogniser:
    model = network.build(6, 16000)
    network.load_pretrained(model, 16000)
    torch.manual_seed(0)
    torch.nn.init.normal_(model.ctc_head.weight)
    torch.nn.init.zeros_(model.ctc_head.bias)
    return model.eval()


def relaxed(source: str, rank: int) -> Recogniser:
    return loaded(Relaxed(source=source, num_layers=4, keep=KEPT, keep_head=False, masking=None, rank=rank))


@torch.no_grad()
def log_probs(model: Recogniser, path: object) -> torch.Tensor:
    waveforms, num_samples = noise(8001, 5713)
    [output] = model(waveforms, num_samples, [path])
    return output.ctc_log_probs


def test_at_full_rank_it_is_all_layers(source: str) -> None:
    whole = loaded(Foundation(source=source, keep_head=False, masking=None))
    models = {rank: relaxed(source, rank) for rank in (4, 32, 144)}
    expected = log_probs(whole, PathSpace(6, 1).seed)
    torch.testing.assert_close(log_probs(models[144], WHOLE_PATH), expected, atol=1e-3, rtol=1e-4)
    assert not torch.allclose(log_probs(models[32], WHOLE_PATH), expected, atol=0.1)
    sizes = {rank: model.num_parameters() for rank, model in models.items()}
    per_rank = 2 * (4 * (144 + 144) + 2 * (144 + 576))  # two repeats of four square matrices and two of the FFN
    assert sizes[32] - sizes[4] == 28 * per_rank
    assert sizes[4] < 0.75 * whole.num_parameters()


def test_a_map_comes_as_near_as_its_rank_allows() -> None:
    torch.manual_seed(0)
    kept, removed = torch.nn.Linear(12, 20), torch.nn.Linear(12, 20)
    x = torch.randn(7, 12)
    lost = []
    for rank in (1, 4, 12, 30):
        near = Near(kept, rank)
        assert torch.equal(near(x), torch.nn.functional.linear(x, kept.weight))  # nothing at first
        near.approach(removed)
        left = removed.weight - kept.weight - near.up.weight @ near.down.weight
        lost.append(float(torch.linalg.matrix_norm(left)))
        values = torch.linalg.svdvals(removed.weight - kept.weight)
        assert lost[-1] == pytest.approx(float(values[rank:].norm()), abs=1e-5)  # Eckart and Young's
    assert lost[0] > lost[1] > lost[2]
    torch.testing.assert_close(near(x), removed(x))


def test_the_seed_is_the_kept_layers_alone(source: str) -> None:
    kept = loaded(Foundation(source=source, num_layers=4, keep=KEPT, keep_head=False, masking=None))
    seed = PathSpace(4, 1).seed
    assert torch.equal(log_probs(relaxed(source, 4), seed), log_probs(kept, seed))


def test_kept_and_repeated_learn_and_come_back(source: str) -> None:
    network = Relaxed(source=source, num_layers=4, keep=KEPT, keep_head=False, masking=None, rank=4)
    model = network.build(6, 16000).train()
    network.load_pretrained(model, 16000)
    waveforms, num_samples = noise(8001, 5713)
    [output] = model(waveforms, num_samples, [WHOLE_PATH])
    output.ctc_log_probs[..., 1].sum().backward()
    without = [name for name, p in model.unfolding.named_parameters() if p.grad is None or not p.grad.any()]
    assert all("k_proj.bias" in name or "k_proj.up.bias" in name for name in without)  # attention does not see those
    assert model.unfolding.layers[2].block.attention.q_proj.weight.grad is not None
    again = network.build(6, 16000)
    again.load_state_dict(model.state_dict())
    assert torch.equal(log_probs(again.eval(), WHOLE_PATH), log_probs(model.eval(), WHOLE_PATH))


@pytest.mark.parametrize("wrong", [{"rank": 0}, {"keep": "mean"}])
def test_what_cannot_be_relaxed_is_refused(source: str, wrong: dict[str, object]) -> None:
    with pytest.raises(FoldError, match=r"rank from 1, and keeps single layers"):
        Relaxed(source=source, num_layers=4, **{"keep": KEPT, **wrong})

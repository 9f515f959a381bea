"""Muon for the matrices of the layers, AdamW for the rest: against PyTorch's own of both."""

import pytest
import torch
from torch import Tensor, nn
from torch.optim import AdamW, Muon

from fold.errors import FoldError
from fold.models import Conformer, Recogniser
from fold.training.muon import MuonWithAdam, is_matrix_of_layer, orthogonal
from fold.training.parameter_groups import parameter_groups

SETTINGS = {"lr": 0.01, "weight_decay": 0.1}


def model() -> Recogniser:
    torch.manual_seed(0)
    shape = {"num_layers": 2, "dim": 16, "num_heads": 2, "ffn_dim": 48, "kernel_size": 7, "decoder_layers": 0}
    return Conformer(**shape, num_mels=40, subsampling_channels=4).build(16, 16000)  # as many units as features


def with_gradients(model: nn.Module, update: int) -> None:
    generator = torch.Generator().manual_seed(update)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def after(model: Recogniser, *optimizers: torch.optim.Optimizer, updates: range = range(4)) -> dict[str, Tensor]:
    for update in updates:
        with_gradients(model, update)
        for optimizer in optimizers:
            optimizer.step()
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def matrices(model: Recogniser) -> dict[str, nn.Parameter]:
    return {name: each for name, each in model.named_parameters() if is_matrix_of_layer(name, each)}


def test_matrices_of_the_layers_alone_are_muons() -> None:
    names = matrices(model())
    assert len(names) == 2 * (4 + 3 + 2)  # of each layer: feed-forward modules, attention, pointwise convolutions
    assert not any(name.startswith(("ctc_head", "stem", "final_norm")) for name in names)


def test_each_parameter_moves_as_pytorchs_own_optimizers_move_it() -> None:
    ours, theirs = model(), model()
    moved = after(ours, MuonWithAdam(parameter_groups(ours, {}), betas=(0.9, 0.98), **SETTINGS))
    names = matrices(theirs)
    rest = [each for name, each in theirs.named_parameters() if name not in names]
    muon = Muon(names.values(), momentum=0.95, adjust_lr_fn="match_rms_adamw", **SETTINGS)
    expected = after(theirs, muon, AdamW(rest, betas=(0.9, 0.98), **SETTINGS))
    start = dict(model().named_parameters())
    for name, weight in moved.items():
        way = (expected[name] - start[name]).norm()
        tolerance = 0.03 if name in names else 1e-5  # theirs computes in bf16
        assert (weight - expected[name]).norm() < tolerance * way, name


@pytest.mark.parametrize("shape", [(3, 24, 24), (2, 96, 24), (24, 384), (1, 5, 1)])
def test_singular_values_become_alike_and_vectors_stay(shape: tuple[int, ...]) -> None:
    torch.manual_seed(1)
    given = torch.randn(shape)
    left, values, right = torch.linalg.svd(given, full_matrices=False)
    made = left.mT @ orthogonal(given) @ right.mT
    diagonal = made.diagonal(dim1=-2, dim2=-1)
    assert (made - torch.diag_embed(diagonal)).abs().max() < 0.02
    assert (diagonal[values > 0.01 * values.max()] > 0.6).all() and (diagonal < 1.3).all()


def test_a_matrix_without_gradient_directions_stays() -> None:
    assert not orthogonal(torch.zeros(4, 3)).any()


def test_an_interrupted_training_goes_on_as_if_it_had_not_been() -> None:
    through = model()
    expected = after(through, MuonWithAdam(parameter_groups(through, {}), **SETTINGS), updates=range(5))
    first = model()
    optimizer = MuonWithAdam(parameter_groups(first, {}), **SETTINGS)
    after(first, optimizer, updates=range(2))
    second = model()
    second.load_state_dict(first.state_dict())
    resumed = MuonWithAdam(parameter_groups(second, {}), **SETTINGS)
    resumed.load_state_dict(optimizer.state_dict())
    found = after(second, resumed, updates=range(2, 5))
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_parameters_without_gradients_stay_as_they_are() -> None:
    frozen = model()
    before = {name: parameter.detach().clone() for name, parameter in frozen.named_parameters()}
    optimizer = MuonWithAdam(parameter_groups(frozen, {}), **SETTINGS)
    optimizer.step()
    assert all(torch.equal(before[name], parameter) for name, parameter in frozen.named_parameters())


@pytest.mark.parametrize("wrong", [{"momentum": 1.0}, {"betas": (0.9, 1.5)}, {"lr": -1.0}, {"iterations": 0}])
def test_settings_out_of_range(wrong: dict[str, object]) -> None:
    with pytest.raises(FoldError, match="expected"):
        MuonWithAdam(parameter_groups(model(), {}), **wrong)


def test_names_are_needed() -> None:
    with pytest.raises(FoldError, match="by their names"):
        MuonWithAdam([{"params": list(model().parameters())}])

"""A padded utterance gives exactly what it gives alone, in every layer: values and gradients of the parameters."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from fold.modules.attention import RelativeSelfAttention, relative_positions
from fold.modules.conformer import ConformerLayer
from fold.modules.convolution import ConvolutionModule
from fold.modules.e_branchformer import ConvolutionalGatingMLP, EBranchformerLayer
from fold.modules.norms import conv_norm

DIM, LENGTHS = 16, [9, 4, 1, 7]
DTYPES = {"layer": torch.float64, "group": torch.float32, "batch": torch.float32}  # the latter two compute in fp32
Call = Callable[[Tensor, Tensor], Tensor]


def positions(x: Tensor) -> Tensor:
    return relative_positions(x.shape[1], DIM, x.device).to(x.dtype)


def make(name: str, norm: str) -> tuple[nn.Module, Call]:
    """A module and how it is called with (x, mask)."""
    torch.manual_seed(0)
    dtype = DTYPES[norm]
    if name == "attention":
        module = RelativeSelfAttention(DIM, 4, dropout=0.0).to(dtype)
        return module, lambda x, mask: module(x, mask, positions(x))
    if name == "convolution":
        module = ConvolutionModule(DIM, 5, norm).to(dtype)
        return module, module
    if name == "cgmlp":
        module = with_real_gates(ConvolutionalGatingMLP(DIM, 24, 5, dropout=0.0)).to(dtype)
        return module, module
    if name == "e_branchformer":
        module = with_real_gates(EBranchformerLayer(DIM, 2, 24, 24, 5, 3, dropout=0.0)).to(dtype)
        return module, lambda x, mask: module(x, mask, positions(x))
    if name == "norm":
        module = conv_norm(norm, DIM).to(dtype)
        return module, module
    module = ConformerLayer(DIM, 2, 24, 5, 0.0, norm).to(dtype)
    return module, lambda x, mask: module(x, mask, positions(x))


def with_real_gates(module: nn.Module) -> nn.Module:
    """Gates that begin as 1 would hide what the convolution before them sees."""
    for inner in module.modules():
        if isinstance(inner, ConvolutionalGatingMLP):
            nn.init.normal_(inner.gate_conv.weight)
    return module


MODULES = [
    ("attention", "layer"),
    ("cgmlp", "layer"),
    ("e_branchformer", "layer"),
    *((name, norm) for name in ("norm", "convolution", "conformer") for norm in ("layer", "group", "batch")),
]


def utterances() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(length, DIM, generator=generator) for length in LENGTHS]


def padded(parts: list[Tensor], time: int) -> tuple[Tensor, Tensor]:
    """A batch whose padded frames hold large rubbish, as after a layer, and its mask."""
    x = 1e3 * torch.randn(len(parts), time, DIM)
    mask = torch.zeros(len(parts), time, dtype=torch.bool)
    for row, part in enumerate(parts):
        x[row, : len(part)] = part
        mask[row, : len(part)] = True
    return x, mask


def run(module: nn.Module, call: Call, parts: list[Tensor], time: int) -> tuple[list[Tensor], list[Tensor]]:
    """The valid frames of each utterance, and the parameters' gradients of a weighted sum of them all."""
    x, mask = padded(parts, time)
    result = call(x.to(next(module.parameters()).dtype), mask)
    valid = [result[row, : len(part)] for row, part in enumerate(parts)]
    loss = sum((frames * torch.linspace(-1, 2, frames.numel()).view_as(frames)).sum() for frames in valid)
    return valid, list(torch.autograd.grad(loss, list(module.parameters())))


def assert_same(result: list[Tensor], expected: list[Tensor]) -> None:
    assert len(result) == len(expected)
    for one, other in zip(result, expected, strict=True):
        tolerance = 1e-9 if one.dtype == torch.float64 else 2e-4
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("name", "norm"), MODULES)
def test_a_padded_batch_gives_what_each_utterance_gives_alone(name: str, norm: str) -> None:
    module, call = make(name, norm)
    module.train(norm != "batch")  # batch statistics tie the utterances together; see the next test
    values, gradients = run(module, call, utterances(), max(LENGTHS) + 3)
    alone = [run(module, call, [part], len(part)) for part in utterances()]
    assert_same(values, [value for [value], _ in alone])
    assert_same(gradients, [sum(parts) for parts in zip(*(gradient for _, gradient in alone), strict=True)])


@pytest.mark.parametrize("name", ["norm", "convolution", "conformer"])
def test_more_padding_changes_nothing_in_training_with_batch_norm(name: str) -> None:
    module, call = make(name, "batch")
    other, other_call = make(name, "batch")
    tight = run(module, call, utterances(), max(LENGTHS))
    loose = run(other, other_call, utterances(), max(LENGTHS) + 6)
    assert_same(tight[0], loose[0])
    assert_same(tight[1], loose[1])
    assert_same(list(module.buffers()), list(other.buffers()))
    assert all(buffer.any() for buffer in module.buffers())


@pytest.mark.parametrize(("name", "norm"), MODULES)
def test_the_order_of_the_batch_changes_nothing(name: str, norm: str) -> None:
    module, call = make(name, norm)
    forwards, gradients = run(module, call, utterances(), max(LENGTHS))
    backwards, other_gradients = run(module, call, utterances()[::-1], max(LENGTHS))
    assert_same(forwards, backwards[::-1])
    assert_same(gradients, other_gradients)

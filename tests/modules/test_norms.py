"""The convolution module's norms against torch's own on utterances without padding."""

import pytest
import torch
from torch import Tensor, nn

from fold.modules.norms import FrameLayerNorm, MaskedBatchNorm, MaskedGroupNorm, conv_norm

CHANNELS = 16


def frames(batch: int, time: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    scale = torch.rand(CHANNELS, generator=generator) * 3
    return torch.randn(batch, time, CHANNELS, generator=generator) * scale + scale.flip(0)


def with_random_affine(norm: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        norm.weight.copy_(torch.randn(CHANNELS, generator=generator))
        norm.bias.copy_(torch.randn(CHANNELS, generator=generator))
    return norm


def all_valid(x: Tensor) -> Tensor:
    return torch.ones(x.shape[:2], dtype=torch.bool)


def assert_same_gradients(result: Tensor, expected: Tensor, norm: nn.Module, reference: nn.Module) -> None:
    weight = torch.randn(result.shape, generator=torch.Generator().manual_seed(2))
    gradients = torch.autograd.grad((result * weight).sum(), [norm.weight, norm.bias])
    references = torch.autograd.grad((expected * weight).sum(), [reference.weight, reference.bias])
    torch.testing.assert_close(gradients, references, rtol=1e-4, atol=1e-4)


def test_layer_norm_is_torchs() -> None:
    x = frames(2, 9)
    norm, reference = with_random_affine(FrameLayerNorm(CHANNELS)), with_random_affine(nn.LayerNorm(CHANNELS))
    torch.testing.assert_close(norm(x, all_valid(x)), reference(x))


@pytest.mark.parametrize("num_groups", [1, 2, 8])
def test_group_norm_is_torchs(num_groups: int) -> None:
    x = frames(3, 9)
    norm = with_random_affine(MaskedGroupNorm(num_groups, CHANNELS))
    reference = with_random_affine(nn.GroupNorm(num_groups, CHANNELS))
    result, expected = norm(x, all_valid(x)), reference(x.transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-5)
    assert_same_gradients(result, expected, norm, reference)


def test_batch_norm_is_torchs_in_training_and_evaluation() -> None:
    norm, reference = with_random_affine(MaskedBatchNorm(CHANNELS)), with_random_affine(nn.BatchNorm1d(CHANNELS))
    for step in range(3):
        x = frames(3, 5 + step)
        result, expected = norm(x, all_valid(x)), reference(x.transpose(1, 2)).transpose(1, 2)
        torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-5)
        assert_same_gradients(result, expected, norm, reference)
        for name, statistic in reference.named_buffers():
            torch.testing.assert_close(norm.get_buffer(name), statistic, msg=lambda text, name=name: f"{name}: {text}")
    norm, reference, x = norm.eval(), reference.eval(), frames(2, 4)
    result, expected = norm(x, all_valid(x)), reference(x.transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-5)
    assert int(norm.num_batches_tracked) == 3


def test_batch_norm_takes_its_statistics_from_valid_frames() -> None:
    """A padded batch equals torch's norm of its valid frames laid side by side."""
    x, lengths = frames(3, 8), [8, 3, 5]
    mask = torch.tensor([[frame < length for frame in range(8)] for length in lengths])
    norm, reference = MaskedBatchNorm(CHANNELS), nn.BatchNorm1d(CHANNELS)
    result, expected = norm(x.masked_fill(~mask[..., None], 1e3), mask)[mask], reference(x[mask])
    torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(norm.running_mean, reference.running_mean)
    torch.testing.assert_close(norm.running_var, reference.running_var)


def test_group_norm_of_an_utterance_without_frames_is_finite() -> None:
    x = frames(2, 4).requires_grad_()
    norm = MaskedGroupNorm(8, CHANNELS)
    mask = torch.tensor([[True] * 4, [False] * 4])
    norm(x, mask)[mask].sum().backward()
    assert norm.weight.grad.isfinite().all()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("kind", ["layer", "group", "batch"])
def test_low_precision_is_computed_in_fp32(kind: str) -> None:
    """Values far from zero, whose mean and variance bf16 could not hold, and the input's type back."""
    x = (frames(2, 50) + 100).bfloat16()
    norm = conv_norm(kind, CHANNELS)
    expected = norm(x.float(), all_valid(x))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = norm(x, all_valid(x))
    torch.testing.assert_close(result.float(), expected, rtol=0.01, atol=0.01)


@pytest.mark.parametrize(
    ("kind", "type_"), [("layer", FrameLayerNorm), ("group", MaskedGroupNorm), ("batch", MaskedBatchNorm)]
)
def test_norms_by_name(kind: str, type_: type) -> None:
    norm = conv_norm(kind, CHANNELS)
    assert type(norm) is type_
    assert sum(parameter.numel() for parameter in norm.parameters()) == 2 * CHANNELS

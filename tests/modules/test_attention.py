"""Relative self-attention against loops over every query and key (Dai et al., 2019, section 3.3)."""

import math

import pytest
import torch
from torch import Tensor

from fold.modules.attention import RelativeSelfAttention, relative_positions, shift_relative, sinusoids


def encoding(distance: int, dim: int) -> list[float]:
    """The sinusoids of one position: sin and cos alternate (Vaswani et al., 2017, section 3.5)."""
    values = []
    for index in range(dim):
        angle = distance / 10000 ** ((index - index % 2) / dim)
        values.append(math.cos(angle) if index % 2 else math.sin(angle))
    return values


def make_attention(dim: int, num_heads: int) -> RelativeSelfAttention:
    torch.manual_seed(0)
    return RelativeSelfAttention(dim, num_heads, dropout=0.0).double()


def naive(attention: RelativeSelfAttention, x: Tensor, length: int) -> Tensor:
    """Attention of one utterance, x: (time, dim), over its first `length` frames."""
    dim, num_heads = x.shape[1], attention.num_heads
    size = dim // num_heads
    query, key, value = attention.qkv(x).split(dim, dim=1)
    heads = []
    for head in range(num_heads):
        part = slice(head * size, (head + 1) * size)
        to_distance = attention.position.weight[part]
        attended = []
        for i in range(len(x)):
            scores = []
            for j in range(length):
                distance = to_distance @ torch.tensor(encoding(i - j, dim), dtype=x.dtype)
                by_content = (query[i, part] + attention.content_bias[head]) @ key[j, part]
                by_distance = (query[i, part] + attention.position_bias[head]) @ distance
                scores.append((by_content + by_distance) / math.sqrt(size))
            weights = torch.stack(scores).softmax(0)
            attended.append(weights @ value[:length, part])
        heads.append(torch.stack(attended))
    return attention.output(torch.cat(heads, dim=1))


def test_sinusoids_equal_the_formula() -> None:
    positions = torch.tensor([-7, -1, 0, 1, 12])
    expected = torch.tensor([encoding(position, 10) for position in positions.tolist()])
    torch.testing.assert_close(sinusoids(positions, 10), expected)


@pytest.mark.parametrize("num_frames", [1, 2, 7])
def test_positions_run_from_the_greatest_distance_to_the_least(num_frames: int) -> None:
    expected = [encoding(distance, 6) for distance in range(num_frames - 1, -num_frames - 1, -1)]
    positions = relative_positions(num_frames, 6, torch.device("cpu"))
    torch.testing.assert_close(positions, torch.tensor(expected))


@pytest.mark.parametrize("time", [1, 2, 3, 8])
def test_shift_equals_explicit_indexing(time: int) -> None:
    scores = torch.randn(2, 3, time, 2 * time)
    shifted = shift_relative(scores)
    assert shifted.shape == (2, 3, time, time)
    for query in range(time):
        for key in range(time):
            by_distance = scores[:, :, query, (time - 1) - (query - key)]
            assert torch.equal(shifted[:, :, query, key], by_distance)


@pytest.mark.parametrize(("time", "num_heads"), [(1, 1), (5, 1), (6, 2), (7, 4)])
def test_equals_a_loop_over_queries_and_keys(time: int, num_heads: int) -> None:
    dim = 8
    attention = make_attention(dim, num_heads)
    x = torch.randn(3, time, dim, dtype=torch.float64)
    lengths = [time, max(time - 2, 1), 1]
    mask = torch.tensor([[frame < length for frame in range(time)] for length in lengths])
    positions = torch.tensor([encoding(d, dim) for d in range(time - 1, -time - 1, -1)], dtype=torch.float64)
    result = attention(x, mask, positions)
    for utterance, length in enumerate(lengths):
        expected = naive(attention, x[utterance], length)
        torch.testing.assert_close(result[utterance], expected, rtol=1e-10, atol=1e-10)

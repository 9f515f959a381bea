"""Spans of masked frames."""

import torch

from fold.models.foundation.masking import span_mask


def test_share_and_spans() -> None:
    torch.manual_seed(0)
    lengths = torch.tensor([400, 200, 9, 10, 0])
    masks = torch.stack([span_mask(lengths, 400, 0.3, 10) for _ in range(300)])
    assert not masks[:, 1, 200:].any() and not masks[:, 2].any() and not masks[:, 4].any()
    shares = masks[:, 0].float().mean()
    expected = 1 - (1 - 1 / 391 * 10) ** 12  # of 12 spans that may overlap
    assert abs(shares - expected) < 0.02
    assert set(masks[:, 3, :10].sum(1).tolist()) == {0, 10}  # the one span there is, or none
    assert abs(masks[:, 3, 0].float().mean() - 0.3) < 0.1
    for row in masks[:, 0]:
        edges = torch.nn.functional.pad(row.int(), (1, 1)).diff()
        runs = (edges == -1).nonzero() - (edges == 1).nonzero()
        assert runs.min() >= 10


def test_no_share_no_mask() -> None:
    assert not span_mask(torch.tensor([50]), 50, 0.0, 10).any()

"""Spans of masked frames, and what is masked and dropped where a source does not say."""

from pathlib import Path

import pytest
import torch
import transformers
from models.foundation.directories import FAMILIES, write
from models.foundation.test_storage import edit

from fold.models import Foundation
from fold.models.foundation.families import find_family
from fold.models.foundation.huggingface import MASKING
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


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_configuration_does_not_say_is_as_in_transformers(family: str, tmp_path: Path) -> None:
    config = write(tmp_path, family).config
    dropouts = find_family(config.model_type).dropout_fields()
    edit(tmp_path / "config.json", **dict.fromkeys([*dropouts.values(), *MASKING.values(), "apply_spec_augment"], ...))
    theirs = transformers.AutoConfig.from_pretrained(tmp_path)
    network = Foundation(source=str(tmp_path))
    for settings, names in ((network.dropouts, dropouts), (network.masking, MASKING)):
        assert {name: getattr(settings, field) for field, name in names.items()} == {
            name: getattr(theirs, name) for name in names.values()
        }

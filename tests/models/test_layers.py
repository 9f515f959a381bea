"""Kinds of layers: what they compute, written out by hand, and what they refuse."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from fold.checkpoint import Description
from fold.errors import FoldError
from fold.models import Conformer, empty_model
from fold.models.layers import ConformerLayers, EBranchformerLayers, LayerShape
from fold.modules.attention import relative_positions
from fold.modules.e_branchformer import ConvolutionalGatingMLP, EBranchformerLayer
from fold.paths import PathSpace
from fold.text.units import CharUnits

SHAPE = LayerShape(dim=8, num_heads=2, ffn_dim=12, kernel_size=3, dropout=0.0, conv_norm="layer")


def taps(weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    """A depthwise convolution, tap by tap, with zeros around. x: (time, channels); weight: (channels, 1, kernel)."""
    reach = weight.shape[2] // 2
    around = F.pad(x, (0, 0, reach, reach))
    return bias + sum(weight[:, 0, tap] * around[tap : tap + len(x)] for tap in range(weight.shape[2]))


def gated(mlp: ConvolutionalGatingMLP, x: Tensor) -> Tensor:
    inner = F.gelu(x @ mlp.expand.weight.T + mlp.expand.bias)
    kept, gate = inner[:, : inner.shape[1] // 2], inner[:, inner.shape[1] // 2 :]
    gate = taps(mlp.gate_conv.weight, mlp.gate_conv.bias, mlp.gate_norm(gate))
    return (kept * gate) @ mlp.project.weight.T + mlp.project.bias


def test_an_e_branchformer_layer_is_its_formula() -> None:
    torch.manual_seed(0)
    layer = EBranchformerLayers(cgmlp_dim=20, merge_kernel_size=5).build(SHAPE).double()
    assert isinstance(layer, EBranchformerLayer)
    torch.nn.init.normal_(layer.cgmlp.gate_conv.weight)
    x, positions = torch.randn(6, 8, dtype=torch.float64), relative_positions(6, 8, torch.device("cpu")).double()
    mask = torch.ones(1, 6, dtype=torch.bool)

    middle = x + 0.5 * layer.macaron(layer.macaron_norm(x))
    attended = layer.attention(layer.attention_norm(middle)[None], mask, positions)[0]
    both = torch.cat([attended, gated(layer.cgmlp, layer.cgmlp_norm(middle))], dim=1)
    middle = middle + layer.merge(both + taps(layer.merge_conv.weight, layer.merge_conv.bias, both))
    middle = middle + 0.5 * layer.feed_forward(layer.feed_forward_norm(middle))
    torch.testing.assert_close(layer(x[None], mask, positions)[0], layer.final_norm(middle), rtol=1e-9, atol=1e-9)


def test_a_new_gate_lets_everything_pass() -> None:
    torch.manual_seed(0)
    mlp = ConvolutionalGatingMLP(8, 12, 3, dropout=0.0)
    x = torch.randn(2, 5, 8)
    kept = F.gelu(mlp.expand(x))[:, :, :6]
    torch.testing.assert_close(mlp(x, torch.ones(2, 5, dtype=torch.bool)), mlp.project(kept), rtol=1e-3, atol=1e-3)


def test_a_network_has_the_layers_of_its_kind_and_no_other_difference() -> None:
    plain = Conformer(num_layers=2, dim=16, num_heads=2, decoder_layers=0)
    branched = replace(plain, layer=EBranchformerLayers())
    both = [dict(empty_model(network, 10, 16_000).named_parameters()) for network in (plain, branched)]
    outside = [{name for name in names if not name.startswith("unfolding.layers")} for names in both]
    assert outside[0] == outside[1]
    assert any("cgmlp" in name for name in both[1])
    assert not any("cgmlp" in name for name in both[0])


@pytest.mark.parametrize("kind", [ConformerLayers(), EBranchformerLayers(cgmlp_dim=24, merge_kernel_size=7)], ids=str)
def test_a_checkpoint_knows_the_kind(kind: ConformerLayers | EBranchformerLayers) -> None:
    network = Conformer(num_layers=2, dim=16, num_heads=2, layer=kind)
    description = Description(network, PathSpace(2), CharUnits("ab "), 8000, "nowhere")
    description.check()
    assert Description.from_dict(description.to_dict()).architecture == network


def test_a_checkpoint_without_a_kind_holds_conformer_layers() -> None:
    """As all do that are older than the setting."""
    plain = Description(Conformer(num_layers=2), PathSpace(2), CharUnits("ab "), 8000, "nowhere").to_dict()
    del plain["settings"]["layer"]
    assert Description.from_dict(plain).architecture == Conformer(num_layers=2)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"cgmlp_dim": 7}, "cgmlp_dim is 7: it must be even"),
        ({"merge_kernel_size": 4}, "merge_kernel_size is 4: it must be odd"),
    ],
)
def test_sizes_that_cannot_be_built_are_refused(settings: dict[str, int], said: str) -> None:
    with pytest.raises(FoldError, match=said):
        EBranchformerLayers(**settings)


def test_a_norm_that_the_kind_has_not_is_refused() -> None:
    with pytest.raises(FoldError, match="conv_norm is batch: E-Branchformer"):
        Conformer(num_layers=2, conv_norm="batch", layer=EBranchformerLayers())

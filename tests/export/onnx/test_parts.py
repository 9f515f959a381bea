"""What the export writes otherwise than PyTorch computes it: the same numbers."""

import torch
from export.onnx.exported import conformer, describe

from fold.export.onnx.parts import ScaledSelfAttention, rewrite
from fold.modules.attention import RelativeSelfAttention, relative_positions


def test_attention_with_its_scale_in_the_weights() -> None:
    torch.manual_seed(0)
    attention = RelativeSelfAttention(dim=24, num_heads=2, dropout=0.0)
    x, mask = torch.randn(2, 9, 24), torch.arange(9) < torch.tensor([[9], [5]])
    positions = relative_positions(9, 24, x.device)
    with torch.no_grad():
        expected, got = (module(x, mask, positions) for module in (attention, ScaledSelfAttention(attention)))
    assert (expected - got).abs().max() < 1e-6 < expected.abs().max()


def test_a_model_is_copied_but_for_weights_that_change() -> None:
    model = describe(conformer()).build()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    copied = dict(rewrite(model).named_parameters())
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    shared = {name for name, weight in model.named_parameters() if copied.get(name) is weight}
    own = {name for name in before if name not in shared}
    assert all("attention.qkv" in name or "_bias" in name or "frontend" in name for name in own)
    assert len(shared) > len(own)

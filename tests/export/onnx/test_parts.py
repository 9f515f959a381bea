"""What the export writes otherwise than PyTorch computes it: the same numbers."""

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
import torch
from export.onnx.exported import conformer, describe

from fold.export.onnx.convolutions import write_as_products
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


@pytest.mark.parametrize(("time", "bins"), [(7, 8), (8, 9), (3, 3), (4, 4), (21, 40)])
def test_convolutions_of_stride_two_are_products(time: int, bins: int) -> None:
    torch.manual_seed(0)
    convolution = torch.nn.Conv2d(5, 6, 3, stride=2)
    x = torch.randn(2, 5, time, bins)
    sound = ir.Value(name="x", shape=ir.Shape(x.shape), type=ir.TensorType(ir.DataType.FLOAT))
    weights = [ir.tensor(tensor.detach().numpy(), name=name) for name, tensor in convolution.named_parameters()]
    given = [ir.Value(name=tensor.name, shape=tensor.shape, const_value=tensor) for tensor in weights]
    sizes = {"strides": [2, 2], "kernel_shape": [3, 3], "pads": [0] * 4, "dilations": [1, 1], "group": 1}
    node = ir.node("Conv", [sound, *given], sizes)
    node.outputs[0].name, node.outputs[0].type = "y", sound.type
    graph = ir.Graph([sound], node.outputs, nodes=[node], initializers=given, opset_imports={"": 18}, name="main")
    model = ir.Model(graph, ir_version=8)
    write_as_products(model)
    assert [node.op_type for node in graph].count("MatMul") == 9
    session = onnxruntime.InferenceSession(ir.to_proto(model).SerializeToString())
    [got] = session.run(None, {"x": x.numpy()})
    expected = convolution(x).detach().numpy()
    assert got.shape == expected.shape and np.abs(got - expected).max() < 1e-5

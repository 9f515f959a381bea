"""Convolutions as matrix products, which runtimes compute faster where these have strides, and quantise."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

LAST = 1 << 62  # beyond every end
KIND = {"strides": (2, 2), "kernel_shape": (3, 3), "pads": (0, 0, 0, 0), "dilations": (1, 1)}


def write_as_products(model: ir.Model) -> None:
    """Replaces convolutions of 3 x 3 places and a stride of 2, of more than one channel, by the sum of nine products:
    of every second frame and bin from each place on, with the weights of that place."""
    for node in list(model.graph):
        if node.op_type != "Conv" or any(tuple(node.attributes[name].as_ints()) != kind for name, kind in KIND.items()):
            continue
        _, weight, bias = node.inputs
        constant = weight.const_value if weight is not None else None
        if constant is not None and constant.numpy().shape[1] > 1 and bias is not None:
            nodes = _products(node, constant.numpy())
            ir.convenience.replace_nodes_and_values(model.graph, node, [node], nodes, node.outputs, nodes[-1].outputs)


def _products(node: ir.Node, weight: np.ndarray) -> list[ir.Node]:
    """What gives the same as a convolution. weight: (channels, channels in, 3, 3)."""
    nodes = [ir.node("Transpose", [node.inputs[0]], {"perm": [0, 2, 3, 1]})]
    [x], y = nodes[0].outputs, node.inputs[2]
    for i, j in np.ndindex(3, 3):
        places = {"from": [i, j], "to": [i - 2 or LAST, j - 2 or LAST], "axes": [1, 2], "steps": [2, 2]}
        bounds = [_constant(nodes, np.array(ints)) for ints in places.values()]
        nodes.append(ir.node("Slice", [x, *bounds]))
        nodes.append(ir.node("MatMul", [nodes[-1].outputs[0], _constant(nodes, weight[:, :, i, j].T.copy())]))
        nodes.append(ir.node("Add", [nodes[-1].outputs[0], y]))
        [y] = nodes[-1].outputs
    return [*nodes, ir.node("Transpose", [y], {"perm": [0, 3, 1, 2]})]


def _constant(nodes: list[ir.Node], array: np.ndarray) -> ir.Value:
    nodes.append(ir.node("Constant", [], {"value": ir.tensor(array)}))
    return nodes[-1].outputs[0]

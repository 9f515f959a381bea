"""Takes out of loops what each of their runs would compute anew."""

from __future__ import annotations

import onnx_ir as ir


def hoist(model: ir.Model) -> None:
    """Moves operators whose inputs no run changes, such as projections of positions, before their loop.

    The states of a loop keep their shapes, which `torch.while_loop` demands, so what depends on these is as fixed.
    """
    alike: dict[ir.Value, ir.Value] = {}  # by a state, or what a loop makes of it: a value of its shape from before
    for loop in [node for node in model.graph if node.op_type == "Loop"]:
        body = loop.attributes["body"].as_graph()
        for state, first, last in zip(body.inputs[2:], loop.inputs[2:], loop.outputs, strict=True):
            assert first is not None  # a state has a first value
            alike[state] = alike[last] = alike.get(first, first)
        for node in list(body):
            if node.op_type == "Shape" and node.inputs[0] in alike:
                node.replace_input_with(0, alike[node.inputs[0]])
            if _is_fixed(node, body):
                body.remove(node)
                model.graph.insert_before(loop, node)


def _is_fixed(node: ir.Node, body: ir.Graph) -> bool:
    """Whether nothing that it needs is computed in a body, and nothing that it gives is the body's result."""
    if any(value.is_graph_output() for value in node.outputs):
        return False
    return all(value is None or value.graph is not body for value in node.inputs)

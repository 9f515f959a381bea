"""From the exported network to an ONNX graph: traced by PyTorch, then brought to a form that runtimes hold in little
memory: each weight once and as it is used, nothing left of the machine that made it, dimensions with names."""

from __future__ import annotations

import onnx
import onnx_ir as ir
import onnxscript.optimizer
import torch
from onnx_ir.passes import PassManager, common
from torch import Tensor, nn

from fold.export.onnx.loops import hoist
from fold.export.onnx.operators import TRANSLATIONS
from fold.export.onnx.quiet import quiet

OPSET = 18
IR_VERSION = 8  # as old as the opset: runtimes refuse files of a newer version than they know
SMALL = 1024  # elements of a constant that is computed here; of larger ones the runtime does it
Dims = dict[str, tuple[str, ...]]
"""Names of the leading, dynamic dimensions of inputs or outputs, by their names."""


def trace(network: nn.Module, inputs: dict[str, Tensor], dims: Dims, outputs: Dims) -> ir.Model:
    """The graph of a network.

    inputs: examples by name, in the order of the network's arguments, with at least two of every dynamic dimension;
    dims: of each input; outputs: in the order in which the network returns them.
    Raises whatever PyTorch's exporter does where the network cannot be exported.
    """
    dynamic = tuple(dict.fromkeys(range(len(dims[name])), torch.export.Dim.DYNAMIC) for name in inputs)
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            network,
            tuple(inputs.values()),
            dynamo=True,
            dynamic_shapes=dynamic,
            input_names=list(inputs),
            output_names=list(outputs),
            opset_version=OPSET,
            custom_translation_table=TRANSLATIONS,
            optimize=False,  # it would store what the filterbanks compute
            verbose=False,
        )
    assert program is not None  # as it is where it writes no file
    model = program.model
    _fold(model)
    for value in model.graph.inputs:
        _name_dims(value, dims)
    for value in model.graph.outputs:
        _name_dims(value, outputs)
    model.ir_version = IR_VERSION
    return model


def _fold(model: ir.Model) -> None:
    """Computes what constants give, and brings weights into the form in which they are used, duplicates dropped."""
    onnxscript.optimizer.optimize(model, input_size_limit=SMALL, output_size_limit=SMALL)
    _write_products_alike(model)
    onnxscript.optimizer.fold_constants(
        model, should_fold=_rearranges_a_weight, input_size_limit=1 << 62, output_size_limit=1 << 62
    )
    PassManager(
        [
            common.RemoveUnusedNodesPass(),
            common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
            common.LiftSubgraphInitializersToMainGraphPass(),
            common.DeduplicateInitializersPass(size_limit=1 << 62),
        ]
    )(model)
    hoist(model)
    PassManager(
        [
            common.CommonSubexpressionEliminationPass(),
            common.RemoveUnusedNodesPass(),
            common.RemoveUnusedFunctionsPass(),
            common.RemoveUnusedOpsetsPass(),
            common.ClearMetadataAndDocStringPass(),
            common.NameFixPass(),
        ]
    )(model)


def _write_products_alike(model: ir.Model) -> None:
    """Makes matrix products that PyTorch's exporter writes as Gemm, of two dimensions and without addend, MatMul."""
    for node in list(model.graph.all_nodes()):
        if node.op_type != "Gemm" or len(node.inputs) > 2:
            continue
        assert node.graph is not None
        transposed = ir.node("Transpose", [node.inputs[1]], {"perm": [1, 0]})
        product = ir.node("MatMul", [node.inputs[0], transposed.outputs[0]])
        ir.convenience.replace_nodes_and_values(
            node.graph, node, [node], [transposed, product], node.outputs, product.outputs
        )


def _rearranges_a_weight(node: ir.Node) -> bool:
    first = node.inputs[0] if node.inputs else None
    return node.op_type in ("Transpose", "Reshape", "Unsqueeze") and first is not None and first.is_initializer()


def stripped(model: ir.Model) -> ir.Model:
    """The graph with short names and without what runtimes infer: shapes and types between its nodes."""
    for number, node in enumerate(model.graph.all_nodes()):
        node.name = f"{node.op_type}_{number}"
        for place, value in enumerate(node.outputs):
            if not value.is_graph_output() or node.graph is not model.graph:
                value.name = f"v{number}_{place}"
    plain = ir.to_proto(model)
    plain.producer_name, plain.producer_version = "fold", ""
    _drop_inferred(plain.graph)
    return ir.from_proto(plain)


def _drop_inferred(graph: onnx.GraphProto) -> None:
    """From a graph and the bodies of its loops."""
    del graph.value_info[:]
    for node in graph.node:
        for body in (attribute.g for attribute in node.attribute if attribute.type == onnx.AttributeProto.GRAPH):
            for value in (*body.input, *body.output):
                for dim in value.type.tensor_type.shape.dim:
                    dim.ClearField("dim_param")  # a formula of the inputs' dimensions
            _drop_inferred(body)


def _name_dims(value: ir.Value, dims: Dims) -> None:
    assert value.name is not None and value.shape is not None
    names = dims[value.name]
    value.shape = ir.Shape([*names, *(value.shape[len(names) :])])

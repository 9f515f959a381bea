"""How the weights of a graph are stored: as they are, or in fewer bits. Filterbanks have none, so they stay exact."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime  # noqa: F401 (where it is missing, that is said before anything is computed)
from onnx_ir.passes import common

from fold.export.onnx.quiet import quiet

Storage = Literal["fp32", "fp16", "int8", "int4"]
BLOCK = 32  # weights of int4 that share a scale
INT8_COMPUTE = 4  # the accuracy level of MatMulNBits at which it multiplies in int8


def stored(model: ir.Model, storage: Storage) -> ir.Model:
    """The graph with its weights stored so; the one given stays as it is.

    fp16: matrices in 16 bits, computed in 32; int8: matrices in 8 bits, a scale per output, multiplied in integers with
    activations that are quantised as they come; int4: matrices in 4 bits, a scale per block of 32.
    """
    return CONVERSIONS[storage](model.clone())


def _fp16(model: ir.Model) -> ir.Model:
    graph = model.graph
    casts = []
    for name, weight in list(graph.initializers.items()):
        assert weight.const_value is not None
        array = weight.const_value.numpy()
        if array.dtype != np.float32 or array.size == max(array.shape, default=1):
            continue  # a vector: few bytes, and filterbanks are computed of some
        halves = ir.tensor(array.astype(np.float16), name=f"{name}.fp16")
        kind, shape = ir.TensorType(halves.dtype), ir.Shape(array.shape)
        half = ir.Value(name=halves.name, shape=shape, type=kind, const_value=halves)
        cast = ir.node("Cast", [half], {"to": ir.DataType.FLOAT}, name=f"Cast_{name}")
        cast.outputs[0].shape, cast.outputs[0].type = weight.shape, weight.type
        weight.replace_all_uses_with(cast.outputs[0])
        graph.initializers.pop(name)
        graph.register_initializer(half)
        casts.append(cast)
    graph.insert_before(graph[0], casts)
    return model


def _int8(model: ir.Model) -> ir.Model:
    with tempfile.TemporaryDirectory() as folder, quiet():
        from onnxruntime.quantization import QuantType, quantize_dynamic

        file = Path(folder) / "model.onnx"
        quantize_dynamic(
            ir.to_proto(model),
            file,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            reduce_range=True,  # 7 bits: sums of 8 saturate on x86 processors without VNNI, without a word
            weight_type=QuantType.QInt8,
            extra_options={  # by default it skips the bodies of loops, where the layers are
                "EnableSubgraph": True,
                "MatMulConstBOnly": True,
                "DefaultTensorType": onnx.TensorProto.FLOAT,
            },
        )
        return _lifted(ir.from_proto(onnx.load(file)))


def _int4(model: ir.Model) -> ir.Model:
    with quiet():
        from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

        quantiser = MatMulNBitsQuantizer(
            ir.to_proto(model), bits=4, block_size=BLOCK, is_symmetric=True, accuracy_level=INT8_COMPUTE
        )
        quantiser.process()
        return _lifted(ir.from_proto(quantiser.model.model))


def _lifted(model: ir.Model) -> ir.Model:
    """The graph with all weights at its top, where they can go to a file beside it."""
    common.LiftSubgraphInitializersToMainGraphPass()(model)
    return model


CONVERSIONS: dict[Storage, Callable[[ir.Model], ir.Model]] = {
    "fp32": lambda model: model,
    "fp16": _fp16,
    "int8": _int8,
    "int4": _int4,
}

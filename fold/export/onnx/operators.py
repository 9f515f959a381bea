"""Operators of PyTorch whose general translation to ONNX would cost memory, as what fold uses them for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from onnxscript import INT64, opset18

Number = Any  # an integer of Python's, or one that the graph computes
op: Any = opset18


def shifted_rows(self: Any, size: Sequence[INT64], stride: Sequence[INT64], storage_offset: INT64 | None = None) -> Any:
    """`as_strided` as of `fold.modules.attention.shift_relative`: two slices, where the exporter would look every
    element up in a table as large as the result times two.

    self: (batch, heads, time, distances). The result, (batch, heads, time, time), reads each row one element earlier
    than the row above; no more of the strides than that of rows is free.
    """
    steps: Sequence[Number] = stride
    if len(size) != 4 or steps[3] != 1:
        raise NotImplementedError("as_strided: only rows of an attention's scores can be shifted")
    start, rows, width, columns = (_row(number) for number in (storage_offset or 0, size[2], steps[2], size[3]))
    flat = op.Reshape(self, op.Constant(value_ints=[0, 0, -1]))
    read = op.Slice(flat, start, op.Add(start, op.Mul(rows, width)), op.Constant(value_ints=[2]))
    grid = op.Reshape(read, op.Concat(op.Constant(value_ints=[0, 0]), rows, width, axis=0))
    return op.Slice(grid, op.Constant(value_ints=[0]), columns, op.Constant(value_ints=[3]))


def _row(number: Number) -> Any:
    """A number as a tensor of one element."""
    if isinstance(number, int):
        return op.Constant(value_ints=[number])
    return op.Reshape(number, op.Constant(value_ints=[1]))


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {torch.ops.aten.as_strided.default: shifted_rows}

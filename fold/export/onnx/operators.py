"""Operators of PyTorch whose general translation to ONNX would cost memory and time, as what fold uses them for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from onnxscript import INT64, opset18

Number = Any  # an integer of Python's, or one that the graph computes
op: Any = opset18
LAST = 1 << 62  # beyond every end


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


def frames(self: Any, dimension: int, size: int, step: int) -> Any:
    """`unfold` of a waveform, (batch, samples), into frames that overlap: slices of its steps side by side, where the
    exporter would look every sample up in a table."""
    if dimension != 1:
        raise NotImplementedError("unfold: only waveforms can be cut into frames")
    steps = -(-size // step)  # that a frame reaches into
    number = op.Div(op.Sub(op.Shape(self, start=1, end=2), _row(size - step)), _row(step))
    padded = op.Pad(self, op.Constant(value_ints=[0, 0, 0, steps * step - size]))
    whole = op.Slice(padded, _row(0), op.Mul(op.Add(number, _row(steps - 1)), _row(step)), _row(1))
    rows = op.Reshape(whole, op.Constant(value_ints=[0, -1, step]))
    parts = []
    for i in range(steps):
        ends = [i + 1 - steps or LAST, size - i * step]  # the latter clamped to the step
        bounds = (op.Constant(value_ints=ints) for ints in ([i, 0], ends, [1, 2]))
        parts.append(op.Slice(rows, *bounds))
    return op.Concat(*parts, axis=2)


def _row(number: Number) -> Any:
    """A number as a tensor of one element."""
    if isinstance(number, int):
        return op.Constant(value_ints=[number])
    return op.Reshape(number, op.Constant(value_ints=[1]))


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.aten.as_strided.default: shifted_rows,
    torch.ops.aten.unfold.default: frames,
}

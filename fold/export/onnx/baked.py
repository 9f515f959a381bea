"""Graphs whose depth is fixed in the file, for runtimes that have no way to pass it; and how to change it there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir

from fold.errors import FoldError
from fold.paths import Path as LayerPath
from fold.paths import PathSpace

REPEATS = "repeats"
SPACE = "fold_path_space"  # metadata: what a file's depth can be changed to


def bake(model: ir.Model, space: PathSpace, path: LayerPath) -> ir.Model:
    """The graph with the repeats of a path as a constant instead of an input. The graph given is changed."""
    [repeats] = [value for value in model.graph.inputs if value.name == REPEATS]
    model.graph.inputs.remove(repeats)
    repeats.const_value = ir.tensor(np.array(_counts(space, path), np.int64), name=REPEATS)
    model.graph.register_initializer(repeats)
    model.metadata_props[SPACE] = json.dumps([space.num_layers, space.limits, space.depths[-1], space.canonical_order])
    return model


def change_depth(file: Path, depth: int | None, path: str | None) -> LayerPath:
    """Overwrites the bytes of a file that hold its repeats, and no others. Returns the path that it runs from now on.

    Raises FoldError if the file holds no baked graph, or its path space not that path.
    """
    try:
        content = file.read_bytes()
        model = onnx.load_from_string(content)
    except Exception as error:  # protobuf's errors have no one base
        reason = "no such file" if not file.exists() else f"no ONNX model ({' '.join(str(error).split())})"
        raise FoldError(f"{file}: {reason}") from None
    known = {entry.key: entry.value for entry in model.metadata_props}
    constants = [tensor for tensor in model.graph.initializer if tensor.name == REPEATS]
    if SPACE not in known or len(constants) != 1:
        raise FoldError(f"{file}: its depth is not fixed in it; expected `fold export --to=sherpa` or onnx-asr")
    num_layers, limits, *others = json.loads(known[SPACE])
    space = PathSpace(num_layers, tuple(limits), *others)
    chosen = space.choose(depth, path)
    before = constants[0].SerializeToString()
    constants[0].raw_data = np.array(_counts(space, chosen), "<i8").tobytes()
    after = constants[0].SerializeToString()
    if content.count(before) != 1 or len(before) != len(after):
        raise FoldError(f"{file}: the bytes of its depth are not found; expected a model as `fold export` wrote it")
    with file.open("r+b") as stream:
        stream.seek(content.index(before))
        stream.write(after)
    return chosen


def _counts(space: PathSpace, path: LayerPath) -> Sequence[int]:
    return [path.layers.count(layer) for layer in range(space.num_layers)]

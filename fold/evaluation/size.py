"""How much a model stores: as it was trained, and with its matrices in 8 bits."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from fold.models import Recogniser

OUTPUT = 4 + 1  # bytes of an output of a matrix in int8: its scale and its zero point


def stored_bytes(model: nn.Module) -> int:
    """Bytes of weights and buffers, as they are."""
    return sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))


def int8_bytes(model: Recogniser) -> int:
    """Bytes of the weights that `fold export --storage=int8` writes: matrices in 8 bits with a scale for each output,
    all others as they are. Neither an attention decoder, which is a file of its own, nor the graph is counted."""
    parts = nn.ModuleList([model.stem, model.unfolding, model.final_norm, model.ctc_head])
    matrices = {id(matrix): matrix for module in parts.modules() for matrix in _matrices(module)}
    saved = sum(matrix.nbytes - matrix.numel() - OUTPUT * len(matrix) for matrix in matrices.values())
    whole: int = sum(tensor.nbytes for tensor in parts.state_dict().values())
    return whole - saved


def _matrices(module: nn.Module) -> Iterator[Tensor]:
    """Those of a module's own weights that it multiplies with, (outputs, inputs) each."""
    if isinstance(module, nn.Linear):
        yield module.weight
    if isinstance(module, nn.MultiheadAttention) and module.in_proj_weight is not None:
        yield module.in_proj_weight

"""data2vec: wav2vec 2.0 whose positions come from several small convolutions. Layers: torchaudio's."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn
from torchaudio.models import wav2vec2_model

from fold.models.foundation.families.family import Parts
from fold.models.foundation.families.wav2vec2 import FIELDS, WaveFamily, torchaudio_parts, torchaudio_settings
from fold.models.foundation.layers import EPSILON
from fold.models.foundation.shape import Dropouts, Shape


@dataclass(frozen=True)
class Data2VecShape(Shape):
    """The shape of a data2vec model for speech: LayerNorm after all convolutions, norms after attention.

    position_layers: convolutions of the positions, of position_kernel frames each.
    """

    family: Literal["data2vec-audio"] = "data2vec-audio"  # type: ignore[assignment]  # of a kind of its own
    conv_norm: Literal["group", "layer"] = "layer"
    position_kernel: int = 19
    position_layers: int = 5


class Data2Vec(WaveFamily):
    """data2vec-audio."""

    shape_type = Data2VecShape
    fields = {
        **{field: name for field, name in FIELDS.items() if field != "conv_norm"},
        "position_kernel": "conv_pos_kernel_size",
        "position_layers": "num_conv_pos_embeddings",
    }
    only = {**WaveFamily.only, "hidden_act": "gelu"}

    def parts(self, shape: Data2VecShape, dropouts: Dropouts) -> Parts:
        parts = torchaudio_parts(wav2vec2_model(**torchaudio_settings(shape, dropouts)), shape)
        return dataclasses.replace(parts, positions=StackedPositions(shape))


class StackedPositions(nn.Module):
    """What several convolutions in a row say of where a frame stands. Padding changes nothing: transformers lets what
    the convolutions make of it back into the last frames of an utterance."""

    def __init__(self, shape: Data2VecShape) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Convolution(shape) for _ in range(shape.position_layers))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x: (batch, frames, dim), zero where mask, (batch, frames), does not hold. Returns x's shape."""
        for layer in self.layers:
            x = layer(x) * mask.unsqueeze(-1)
        return x


class _Convolution(nn.Module):
    """Convolution, norm of each frame, GELU."""

    def __init__(self, shape: Data2VecShape) -> None:
        super().__init__()
        kernel = shape.position_kernel
        self.conv = nn.Conv1d(shape.dim, shape.dim, kernel, padding=kernel // 2, groups=shape.position_groups)

    def forward(self, x: Tensor) -> Tensor:
        y: Any = self.conv(x.transpose(1, 2))[..., : x.shape[1]].transpose(1, 2)
        return nn.functional.gelu(nn.functional.layer_norm(y, y.shape[-1:], eps=EPSILON))

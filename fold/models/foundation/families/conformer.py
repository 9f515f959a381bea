"""wav2vec 2.0 with Conformer layers. Layers: transformers' own."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torchaudio.models import wav2vec2_model

from fold.errors import FoldError
from fold.models.foundation.families.family import Parts
from fold.models.foundation.families.wav2vec2 import (
    FIELDS,
    PARTS_OF,
    WaveFamily,
    torchaudio_parts,
    torchaudio_settings,
)
from fold.models.foundation.shape import Dropouts, Shape
from fold.modules.attention import sinusoids

CONFORMER_FIELDS = {  # those that w2v-BERT has too
    "num_layers": "num_hidden_layers",
    "dim": "hidden_size",
    "num_heads": "num_attention_heads",
    "ffn_dim": "intermediate_size",
    "positions": "position_embeddings_type",
    "rotary_base": "rotary_embedding_base",
    "kernel_size": "conv_depthwise_kernel_size",
    "activation": "hidden_act",
}


@dataclass(frozen=True)
class ConformerShape(Shape):
    """The shape of a wav2vec2-conformer model.

    positions: how attention knows distances; rotary_base: of rotary positions; kernel_size: of the convolution modules;
    activation: of feed-forward and convolution modules, by its name in transformers.
    """

    family: Literal["wav2vec2-conformer"] = "wav2vec2-conformer"  # type: ignore[assignment]  # of a kind of its own
    positions: Literal["relative", "rotary"] | None = "relative"
    rotary_base: int = 10000
    kernel_size: int = 31
    activation: str = "gelu"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rotary(self.positions, self.dim, self.num_heads)


class Conformer(WaveFamily):
    """wav2vec2-conformer."""

    shape_type: ClassVar[type[ConformerShape]] = ConformerShape
    fields = {**FIELDS, **CONFORMER_FIELDS}
    parts_of = {start: name for start, name in PARTS_OF.items() if start not in ("stem.positions.", "stem.norm.")}
    left_out = ("encoder.pos_conv_embed.", "encoder.embed_positions.")

    def given(self, config: Mapping[str, Any]) -> dict[str, Any]:
        given = super().given(config)
        check_activation(given.get("activation", self.shape_type.activation))
        return given

    def parts(self, shape: ConformerShape, dropouts: Dropouts) -> Parts:
        outer = torchaudio_parts(
            wav2vec2_model(**torchaudio_settings(shape, dropouts) | {"encoder_num_layers": 1}), shape
        )
        new_layer = transformers_layers("wav2vec2_conformer", self.kind, layer_settings(self, shape, dropouts))
        return Parts(
            features=outer.features,
            projection=outer.projection,
            positions=None,
            norm=nn.Identity(),
            relative=distances(shape.positions, shape.dim, shape.num_heads, shape.rotary_base),
            layers=[ConformerLayer(new_layer()) for _ in range(shape.num_layers)],
            final_norm=nn.LayerNorm(shape.dim),
        )

    def constants(self, shape: ConformerShape) -> dict[str, Tensor]:
        rates = rotation_rates(shape.dim // shape.num_heads, shape.rotary_base)
        return {"encoder.embed_positions.inv_freq": rates} if shape.positions == "rotary" else {}

    def dropout_fields(self) -> dict[str, str]:
        return {**super().dropout_fields(), "conv": "conformer_conv_dropout"}


def layer_settings(family: Any, shape: Any, dropouts: Dropouts) -> dict[str, Any]:
    """What transformers' configuration is given to build layers of a shape. Attention is computed as written there:
    masks are numbers to be added, which all its versions take."""
    drops = {name: getattr(dropouts, field) for field, name in family.dropout_fields().items()}
    return {**family.config(shape), **drops, "attn_implementation": "eager"}


def transformers_layers(module: str, kind: str, settings: dict[str, Any]) -> Callable[[], nn.Module]:
    """What makes encoder layers of transformers. module: theirs; kind: how their classes begin.

    Raises FoldError if transformers is not installed, or does not know the activation.
    """
    check_activation(settings["hidden_act"])
    configuration, modeling = (
        of_transformers(f"models.{module}.{part}_{module}") for part in ("configuration", "modeling")
    )
    config = getattr(configuration, f"{kind}Config")(**settings)
    return partial(getattr(modeling, f"{kind}EncoderLayer"), config)


def check_activation(name: str) -> None:
    """Raises FoldError if transformers is not installed, or has no activation of that name."""
    known = of_transformers("activations").ACT2FN
    if name not in known:
        raise FoldError(f"activation (hidden_act) is {name!r}: expected one of {', '.join(sorted(known))}")


def of_transformers(module: str) -> Any:
    """A module of transformers. Raises FoldError if it is not installed."""
    try:
        return importlib.import_module(f"transformers.{module}")
    except ImportError as error:
        raise FoldError(f"its layers are transformers' own: pip install 'fold-asr[foundation]' ({error})") from None


def check_rotary(kind: str | None, dim: int, num_heads: int) -> None:
    """Raises FoldError if positions are rotary and the features of a head are not even in number: pairs are turned."""
    if kind == "rotary" and dim // num_heads % 2:
        raise FoldError(f"dim is {dim}: with rotary positions each of {num_heads} heads needs an even share of it")


def distances(kind: str | None, dim: int, num_heads: int, rotary_base: int) -> nn.Module | None:
    """What makes of x all that layers need to know of distances, None where they need nothing."""
    if kind == "relative":
        return RelativeDistances(dim)
    return Rotations(dim // num_heads, rotary_base) if kind == "rotary" else None


class RelativeDistances(nn.Module):
    """Sinusoids of the distances between frames."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, frames, dim). Returns (1, 2 * frames - 1, dim): distances frames - 1 to 1 - frames."""
        frames = x.shape[1]
        return sinusoids(torch.arange(frames - 1, -frames, -1, device=x.device), self.dim).to(x.dtype)[None]


def rotation_rates(head_dim: int, base: int, device: torch.device | None = None) -> Tensor:
    """Angles by which each pair of features turns from frame to frame: (head_dim / 2,)."""
    return 1 / base ** (torch.arange(0, head_dim, 2, device=device).float() / head_dim)


class Rotations(nn.Module):
    """Cosines and sines by which queries and keys are turned."""

    def __init__(self, head_dim: int, base: int) -> None:
        super().__init__()
        self.head_dim, self.base = head_dim, base

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, frames, dim). Returns (2, frames, 1, 1, head_dim)."""
        rates = rotation_rates(self.head_dim, self.base, x.device)
        angles = torch.arange(x.shape[1], device=x.device).float()[:, None] * rates
        angles = torch.cat([angles, angles], dim=-1)[:, None, None, :]
        return torch.stack([angles.cos(), angles.sin()]).to(x.dtype)


def added_mask(visible: Tensor, dtype: torch.dtype) -> Tensor:
    """visible: (batch, frames). Returns (batch, 1, 1, frames): what is added to the scores of attention."""
    return torch.zeros_like(visible, dtype=dtype).masked_fill(~visible, torch.finfo(dtype).min)[:, None, None, :]


class ConformerLayer(nn.Module):
    """A layer of transformers in the form that unfolding runs.

    Padding changes nothing: transformers lets it into the convolutions, so that what a batch says of the last frames of
    an utterance depends on the others. BatchNorm keeps the statistics of pre-training, in training too: those of
    batches would mix all paths and repeats.

    block: transformers' Wav2Vec2ConformerEncoderLayer.
    """

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor, visible: Tensor, relative: Tensor | None) -> Tensor:
        """x: (batch, frames, dim); visible: (batch, frames); relative: from `distances`. Returns x's shape."""
        block: Any = self.block
        x = x + 0.5 * block.ffn1(block.ffn1_layer_norm(x))
        attended = block.self_attn(
            hidden_states=block.self_attn_layer_norm(x),
            attention_mask=added_mask(visible, x.dtype),
            relative_position_embeddings=relative,
        )[0]
        x = x + block.self_attn_dropout(attended)
        x = x + self._convolve(x, visible)
        x = x + 0.5 * block.ffn2(block.ffn2_layer_norm(x))
        result: Tensor = block.final_layer_norm(x)
        return result

    def _convolve(self, x: Tensor, visible: Tensor) -> Tensor:
        module: Any = self.block.conv_module
        inside = (module.layer_norm(x) * visible.unsqueeze(-1)).transpose(1, 2)
        inside = module.depthwise_conv(module.glu(module.pointwise_conv1(inside)))
        norm = module.batch_norm
        normed = nn.functional.batch_norm(
            inside.float(), norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
        )
        activated = module.activation(normed.to(inside.dtype))
        outside: Tensor = module.dropout(module.pointwise_conv2(activated).transpose(1, 2))
        return outside

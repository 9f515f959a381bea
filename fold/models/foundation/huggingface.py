"""Hugging Face directories of wav2vec 2.0, HuBERT and WavLM: config.json beside the weights. Read without code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor
from torchaudio.models import Wav2Vec2Model

from fold.errors import FoldError
from fold.models.foundation.shape import Shape, torchaudio_model
from fold.models.foundation.tokens import BLANK, END, UNKNOWN, WORD_DELIMITER

CONFIG, VOCABULARY, PREPROCESSOR = "config.json", "vocab.json", "preprocessor_config.json"
SAFETENSORS, PICKLED = "model.safetensors", "pytorch_model.bin"
CLASSES = {"wav2vec2": "Wav2Vec2", "hubert": "Hubert", "wavlm": "WavLM"}
MASK_EMBEDDING = "masked_spec_embed"
PREFIXES = {  # of the names of weights: transformers', torchaudio's
    "encoder.": "encoder.transformer.",
    "feature_projection.": "encoder.feature_projection.",
    "lm_head.": "aux.",
}
USED = (*PREFIXES, "feature_extractor.", MASK_EMBEDDING)
UNSUPPORTED = {  # setting: the only value that torchaudio's network has
    "hidden_act": "gelu",
    "feat_extract_activation": "gelu",
    "layer_norm_eps": 1e-5,
    "add_adapter": False,
    "adapter_attn_dim": None,
    "feat_proj_layer_norm": True,
    "conv_pos_batch_norm": False,
}
FIELDS = {  # of a Shape: their names in config.json
    "num_layers": "num_hidden_layers",
    "dim": "hidden_size",
    "num_heads": "num_attention_heads",
    "ffn_dim": "intermediate_size",
    "conv_channels": "conv_dim",
    "conv_kernels": "conv_kernel",
    "conv_strides": "conv_stride",
    "conv_bias": "conv_bias",
    "conv_norm": "feat_extract_norm",
    "pre_norm": "do_stable_layer_norm",
    "position_kernel": "num_conv_pos_embeddings",
    "position_groups": "num_conv_pos_embedding_groups",
}
WAVLM_FIELDS = {"num_buckets": "num_buckets", "max_distance": "max_bucket_distance"}


@dataclass(frozen=True)
class Directory:
    """A Hugging Face directory. Its files are read when asked for; every fault is one FoldError naming the file."""

    path: Path

    @property
    def sample_rate(self) -> int:
        return self._json(PREPROCESSOR, required=False).get("sampling_rate", 16000)

    def shape(self) -> Shape:
        config = self._json(CONFIG)
        family = config.get("model_type")
        if family not in CLASSES:
            raise FoldError(f"{self.path / CONFIG}: model_type is {family!r}; expected one of {', '.join(CLASSES)}")
        for name, only in UNSUPPORTED.items():
            if config.get(name, only) != only:
                raise FoldError(f"{self.path / CONFIG}: {name} is {config[name]!r}; only {only!r} can be folded")
        names = {**FIELDS, **(WAVLM_FIELDS if family == "wavlm" else {})}
        given = {field: config[name] for field, name in names.items() if name in config}
        # Without a file that says it: base models, with GroupNorm, were trained on waveforms as they are.
        normalise = self._json(PREPROCESSOR, required=False).get("do_normalize", given.get("conv_norm") == "layer")
        try:
            return Shape(family=family, normalise=normalise, **given)
        except (FoldError, TypeError) as error:
            raise FoldError(f"{self.path / CONFIG}: {error}") from None

    def fetch(self) -> None:
        """Nothing: the files lie here."""

    def tokens(self) -> Sequence[str] | None:
        config = self._json(CONFIG)
        if not any(name.endswith("ForCTC") for name in config.get("architectures") or []):
            return None
        rows = self._json(VOCABULARY)
        by_row = {row: token for token, row in rows.items()}
        blank = config.get("pad_token_id", 0)
        known = {"|": WORD_DELIMITER, "<unk>": UNKNOWN, "</s>": END}
        return [
            BLANK if row == blank else known.get(by_row.get(row, ""), by_row.get(row, ""))
            for row in range(config.get("vocab_size", len(rows)))
        ]

    def model(self) -> tuple[Wav2Vec2Model, Tensor | None]:
        shape, tokens = self.shape(), self.tokens()
        weights = from_huggingface(self._weights(), shape)
        mask = weights.pop(MASK_EMBEDDING, None)
        if tokens is None:
            weights = {name: weight for name, weight in weights.items() if not name.startswith("aux.")}
        model = torchaudio_model(shape, tokens and len(tokens))
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            reason = str(error).splitlines()[1].strip()
            raise FoldError(f"{self._weights_file()}: does not fit {CONFIG}: {reason[:200]}") from None
        return model, mask

    def _json(self, name: str, required: bool = True) -> dict[str, Any]:
        file = self.path / name
        if not file.exists():
            if required:
                raise FoldError(f"{file}: no such file; a source is a folder with {CONFIG} and {SAFETENSORS}")
            return {}
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise FoldError(f"{file}: not JSON ({error})") from None
        if not isinstance(values, dict):
            raise FoldError(f"{file}: expected a JSON object")
        return values

    def _weights_file(self) -> Path:
        for name in (SAFETENSORS, PICKLED):
            if (self.path / name).exists():
                return self.path / name
        raise FoldError(f"{self.path}: holds neither {SAFETENSORS} nor {PICKLED}")

    def _weights(self) -> dict[str, Tensor]:
        file = self._weights_file()
        try:
            if file.name == SAFETENSORS:
                return safetensors.torch.load_file(file)
            return torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # whatever a damaged or hostile file provokes
            raise FoldError(f"{file}: cannot be read as weights ({str(error).splitlines()[0][:200]})") from None


def from_huggingface(weights: dict[str, Tensor], shape: Shape) -> dict[str, Tensor]:
    """Weights under torchaudio's names; MASK_EMBEDDING stays under its own."""
    renamed: dict[str, Tensor] = {}
    for name, weight in weights.items():
        inner = name.removeprefix(f"{shape.family}.")
        if not inner.startswith(USED):
            continue  # heads of pre-training, such as quantizer and project_q
        inner = inner.replace("weight_g", "parametrizations.weight.original0")
        inner = inner.replace("weight_v", "parametrizations.weight.original1")
        for theirs, ours in PREFIXES.items():
            if inner.startswith(theirs):
                inner = ours + inner.removeprefix(theirs)
                break
        renamed[inner] = weight.float()
    return _join_attention(renamed, shape.num_layers) if shape.family == "wavlm" else renamed


def to_huggingface(weights: dict[str, Tensor], shape: Shape, num_layers: int) -> dict[str, Tensor]:
    """Weights of `num_layers` layers under the names of transformers, the inverse of `from_huggingface`."""
    weights = _split_attention(weights, num_layers) if shape.family == "wavlm" else weights
    renamed: dict[str, Tensor] = {}
    for name, weight in weights.items():
        for theirs, ours in PREFIXES.items():
            if name.startswith(ours):
                name = theirs + name.removeprefix(ours)
                break
        renamed[name if name.startswith("lm_head.") else f"{shape.family}.{name}"] = weight.contiguous()
    return renamed


def _join_attention(weights: dict[str, Tensor], num_layers: int) -> dict[str, Tensor]:
    """Joins WavLM's query, key and value as torchaudio has them."""
    weights = dict(weights)
    for layer in range(num_layers):
        prefix = f"encoder.transformer.layers.{layer}.attention."
        for kind in ("weight", "bias"):
            names = [f"{prefix}{part}_proj.{kind}" for part in ("q", "k", "v", "out")]
            if all(name in weights for name in names):  # else loading names what is missing
                parts = [weights.pop(name) for name in names]
                weights[f"{prefix}attention.in_proj_{kind}"] = torch.cat(parts[:3])
                weights[f"{prefix}attention.out_proj.{kind}"] = parts[3]
    return weights


def _split_attention(weights: dict[str, Tensor], num_layers: int) -> dict[str, Tensor]:
    weights = dict(weights)
    for layer in range(num_layers):
        prefix = f"encoder.transformer.layers.{layer}.attention."
        for kind in ("weight", "bias"):
            parts = weights.pop(f"{prefix}attention.in_proj_{kind}").chunk(3)
            weights |= {f"{prefix}{name}_proj.{kind}": part for name, part in zip("qkv", parts, strict=True)}
            weights[f"{prefix}out_proj.{kind}"] = weights.pop(f"{prefix}attention.out_proj.{kind}")
    return weights

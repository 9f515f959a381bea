"""From a folded model back to a Hugging Face directory, at any depth."""

from __future__ import annotations

import json
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import safetensors.torch
from torch import Tensor

from fold.errors import FoldError
from fold.models.asr import Recogniser
from fold.models.foundation import huggingface
from fold.models.foundation.network import Foundation
from fold.paths import Path
from fold.text.units import CharUnits

if TYPE_CHECKING:
    from fold.checkpoint import Description

SPECIAL_TOKENS = {"unk_token": "<unk>", "pad_token": "<pad>", "bos_token": "</s>", "eos_token": "</s>"}


def write_directory(folder: FilePath, model: Recogniser, description: Description, path: Path) -> None:
    """Writes weights, configuration, vocabulary and preprocessing of a model with a CTC head.

    Raises FoldError if the units are not characters, or if `folder` cannot be written.
    """
    network, units = description.architecture, description.units
    if not isinstance(units, CharUnits):
        raise FoldError("export: transformers' tokenizer of these models has characters for units, this model has not")
    names = ["<pad>", "<unk>", *("|" if c == " " else c for c in units.characters), "</s>"]
    weights = huggingface.to_huggingface(_torchaudio_names(model, network, path), network.shape, path.depth)
    files = {
        huggingface.CONFIG: _config(network, path, len(units), model.stem.mask is not None),
        huggingface.VOCABULARY: {name: row for row, name in enumerate(names)},
        huggingface.PREPROCESSOR: {
            "feature_extractor_type": "Wav2Vec2FeatureExtractor",
            "feature_size": 1,
            "sampling_rate": description.sample_rate,
            "padding_value": 0.0,
            "do_normalize": network.shape.normalise,
            "return_attention_mask": network.shape.conv_norm == "layer",
        },
        "tokenizer_config.json": {
            "tokenizer_class": "Wav2Vec2CTCTokenizer",
            "word_delimiter_token": "|",
            **SPECIAL_TOKENS,
        },
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, values in files.items():
            (folder / name).write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        safetensors.torch.save_file(weights, folder / huggingface.SAFETENSORS, metadata={"format": "pt"})
    except (OSError, safetensors.SafetensorError) as error:
        raise FoldError(f"export: {folder} cannot be written ({error})") from None


def _torchaudio_names(model: Recogniser, network: Foundation, path: Path) -> dict[str, Tensor]:
    """The weights along a path under torchaudio's names, each layer as often as it runs."""
    transformer = "encoder.transformer"
    stem = model.stem
    norm = model.final_norm[0] if network.shape.pre_norm else stem.norm
    parts = {
        "feature_extractor.conv_layers": stem.waveform_encoder.conv_layers,
        "encoder.feature_projection": stem.projection,
        f"{transformer}.pos_conv_embed": stem.positions,
        f"{transformer}.layer_norm": norm,
        "aux": model.ctc_head,
    }
    for place, layer in enumerate(path.layers):
        parts[f"{transformer}.layers.{place}"] = model.unfolding.layers[layer].block
    if stem.relative is not None:
        parts[f"{transformer}.layers.0.attention.rel_attn_embed"] = stem.relative.rel_attn_embed
    weights = {f"{name}.{inner}": w for name, part in parts.items() for inner, w in part.state_dict().items()}
    if stem.mask is not None:
        weights[huggingface.MASK_EMBEDDING] = stem.mask.embedding.detach()
    return {name: weight.clone() for name, weight in weights.items()}  # safetensors refuses tensors that share memory


def _config(network: Foundation, path: Path, num_units: int, masks: bool) -> dict[str, Any]:
    shape, drops = network.shape, network.dropouts
    names = {**huggingface.FIELDS, **(huggingface.WAVLM_FIELDS if shape.family == "wavlm" else {})}
    values = {name: getattr(shape, field) for field, name in names.items()}
    masking = network.masking
    return {
        **values,
        "model_type": shape.family,
        "architectures": [f"{huggingface.CLASSES[shape.family]}ForCTC"],
        "num_hidden_layers": path.depth,
        "num_feat_extract_layers": len(shape.conv_channels),
        "vocab_size": num_units,
        "pad_token_id": 0,
        "bos_token_id": num_units - 1,
        "eos_token_id": num_units - 1,
        "hidden_dropout": drops.hidden,
        "attention_dropout": drops.attention,
        "activation_dropout": drops.ffn,
        "feat_proj_dropout": drops.features,
        "final_dropout": drops.head,
        "layerdrop": 0.0,
        "apply_spec_augment": masks,
        "mask_time_prob": masking.time_share if masks else 0.0,
        "mask_time_length": masking.time_span if masks else 10,
        "mask_feature_prob": masking.channel_share if masks else 0.0,
        "mask_feature_length": masking.channel_span if masks else 10,
    }

"""From a folded model back to a Hugging Face directory, at any depth."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from torch import Tensor

from fold.errors import FoldError
from fold.models.asr import Recogniser
from fold.models.foundation import files
from fold.models.foundation.families import FAMILIES, Family, find_family
from fold.models.foundation.huggingface import MASKING
from fold.models.foundation.network import Foundation
from fold.models.foundation.shape import AnyShape
from fold.models.foundation.weights import LAYER, SAFETENSORS
from fold.paths import Path
from fold.text.normalise import UNKNOWN_TEXT
from fold.text.units import CharUnits

if TYPE_CHECKING:
    from fold.checkpoint import Description

PADDING, UNKNOWN, END = "<pad>", "<unk>", "</s>"


def write_directory(folder: FilePath, model: Recogniser, description: Description, path: Path) -> None:
    """Writes weights, configuration, vocabulary and preprocessing of a model with a CTC head.

    Raises FoldError if the units are not characters, or if `folder` cannot be written.
    """
    network, units = description.architecture, description.units
    if not isinstance(units, CharUnits):
        raise FoldError("export: transformers' tokenizer of these models needs characters as units, not pieces")
    assert isinstance(network, Foundation)  # no other model has a family, and so no such export
    if network.original.family not in FAMILIES:
        raise FoldError(f"export: transformers has no {network.original.family} network, of layers that differ in size")
    family = find_family(network.original.family)
    check_can_be_told(family, network.original, description.sample_rate)
    processor = {"processor_class": "Wav2Vec2BertProcessor" if family.kind == "Wav2Vec2Bert" else "Wav2Vec2Processor"}
    # Where the delimiter is a character, a space stands for itself: transformers 5 forgets any other delimiter.
    space = " " if "|" in units.characters else "|"
    unknown = _unlike(units, UNKNOWN if UNKNOWN_TEXT in units.characters else UNKNOWN_TEXT)
    padding, end = _unlike(units, PADDING), _unlike(units, END)
    names = [padding, unknown, *(space if c == " " else c for c in units.characters), end]
    contents = {
        files.CONFIG: _config(network, family, path, len(units), model.stem.mask is not None),
        files.VOCABULARY: {name: row for row, name in enumerate(names)},
        files.PREPROCESSOR: {**family.extractor(network.original, description.sample_rate), **processor},
        files.TOKENIZER: {**_tokenizer(units, padding, unknown, end), **processor},
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, values in contents.items():
            (folder / name).write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        weights = _weights(model, family, path)
        weights |= {_full(name, family): value for name, value in family.constants(network.original).items()}
        safetensors.torch.save_file(weights, folder / SAFETENSORS, metadata={"format": "pt"})
    except (OSError, safetensors.SafetensorError) as error:
        raise FoldError(f"export: {folder} cannot be written ({error})") from None


def check_can_be_told(family: Family, shape: AnyShape, sample_rate: int) -> None:
    """Raises FoldError if transformers' networks of a family would ignore something of a shape: what is written is read
    as a source would be."""
    config = {**family.config(shape), "model_type": shape.family}
    read = family.shape(config, family.extractor(shape, sample_rate))
    for field in (field.name for field in dataclasses.fields(read)):
        wanted, heard = getattr(shape, field), getattr(read, field)
        if wanted != heard and field != "epsilon":  # which `unlike_theirs` tells
            raise FoldError(f"export: {field} is {wanted!r}, but transformers' {family.kind} only knows {heard!r}")


def unlike_theirs(description: Description) -> list[str]:
    """What transformers makes otherwise of a model that is written so; empty if nothing."""
    network, units = description.architecture, description.units
    assert isinstance(network, Foundation) and isinstance(units, CharUnits)  # what is written
    separator = units.separator
    told = find_family(network.original.family).unlike_theirs(network.original)
    if separator.strip():
        return [*filter(None, [told]), f"transformers writes units with spaces between them, not {separator!r}"]
    return [told] if told else []


def _weights(model: Recogniser, family: Family, path: Path) -> dict[str, Tensor]:
    """The weights along a path under transformers' names, each layer as often as it runs."""
    weights: dict[str, Tensor] = {}
    for ours, weight in model.state_dict().items():
        layer = LAYER.match(ours)
        places = [place for place, index in enumerate(path.layers) if layer and index == int(layer[1])]
        for place in places if layer else [0]:
            names = family.names(LAYER.sub(f"unfolding.layers.{place}.", ours))
            parts = zip(names, weight.chunk(len(names)) if len(names) > 1 else [weight], strict=True)
            # Copies: safetensors refuses tensors that share memory.
            weights |= {_full(name, family): part.clone(memory_format=torch.contiguous_format) for name, part in parts}
    return weights


def _full(name: str, family: Family) -> str:
    return name if name.startswith("lm_head.") else family.prefix + name


def _unlike(units: CharUnits, name: str) -> str:
    """A name that no unit has, for what has no part in text: this one, or this in brackets."""
    while name in units.characters:
        name = f"<{name}>"
    return name


def _tokenizer(units: CharUnits, padding: str, unknown: str, end: str) -> dict[str, Any]:
    """An unknown unit reads as it does here; no space is cleaned away."""
    settings = {
        "tokenizer_class": "Wav2Vec2CTCTokenizer",
        "unk_token": unknown,
        "pad_token": padding,
        "bos_token": end,
        "eos_token": end,
        "word_delimiter_token": "|",
        "replace_word_delimiter_char": "|" if "|" in units.characters else " ",
        "do_lower_case": False,
        "clean_up_tokenization_spaces": False,
    }
    if units.separator:
        phonemes = {"tokenizer_class": "Wav2Vec2PhonemeCTCTokenizer", "do_phonemize": False}
        return settings | phonemes | {"phone_delimiter_token": units.separator, "word_delimiter_token": None}
    return settings


def _config(network: Foundation, family: Family, path: Path, num_units: int, masks: bool) -> dict[str, Any]:
    drops = {name: getattr(network.dropouts, field) for field, name in family.dropout_fields().items()}
    masking = {name: getattr(network.masking, field) for field, name in MASKING.items()} if masks else {}
    return {
        **family.config(network.original),
        **drops,
        "model_type": network.original.family,
        "architectures": [f"{family.kind}ForCTC"],
        "num_hidden_layers": path.depth,
        "vocab_size": num_units,
        "pad_token_id": 0,
        "bos_token_id": num_units - 1,
        "eos_token_id": num_units - 1,
        "layerdrop": 0.0,
        "apply_spec_augment": masks,
        **(masking or {"mask_time_prob": 0.0, "mask_feature_prob": 0.0}),
    }

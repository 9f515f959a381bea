"""What a runtime has to know of a graph: the JSON beside it."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any

from fold.errors import FoldError
from fold.models import Architecture, Conformer
from fold.text.normalise import UNKNOWN_TEXT
from fold.text.units import BLANK, END, CharUnits, SentencePieceUnits, Units

if TYPE_CHECKING:
    from fold.checkpoint import Description

FORMAT, VERSION = "fold-onnx", 1
SENTENCEPIECE_SPACE = "\u2581"


def describe(description: Description) -> dict[str, Any]:
    """Plain JSON values: units, paths and rates of a model."""
    from fold import __version__

    space = description.space
    return {
        "format": FORMAT,
        "version": VERSION,
        "fold_version": __version__,
        "architecture": type(description.architecture).__name__,
        "sample_rate": description.sample_rate,
        "num_mels": num_mels(description.architecture),
        "frame_seconds": frame_samples(description.architecture, description.sample_rate) / description.sample_rate,
        **describe_units(description.units),
        "num_layers": space.num_layers,
        "max_repeats": list(space.limits),
        "deepest": space.depths[-1],
        "depths": {depth: repeats(description, depth) for depth in space.depths},
    }


def num_mels(architecture: Architecture) -> int | None:
    """Mel bins of a model's filterbanks; None of a model that hears waveforms."""
    return architecture.num_mels if isinstance(architecture, Conformer) else None


def repeats(description: Description, depth: int) -> list[int]:
    """How often each layer runs on the canonical path of a depth."""
    layers = description.space.canonical(depth).layers
    return [layers.count(layer) for layer in range(description.space.num_layers)]


def frame_samples(architecture: Architecture, sample_rate: int) -> int:
    """Samples from one encoded frame to the next."""
    few, many = (
        bisect_left(range(100 * sample_rate), frames, key=lambda n: architecture.num_frames(n, sample_rate))
        for frames in (2, 3)
    )
    return many - few


def describe_units(units: Units) -> dict[str, Any]:
    """The text of each unit by index, how texts join, and which of them is a space or begins with one.

    Raises FoldError for units of another kind.
    """
    match units:
        case CharUnits():
            texts = [units.separator + text for text in (UNKNOWN_TEXT, *units.characters)]
            return {"units": [BLANK, *texts, END], "joiner": "characters", "space": " "}
        case SentencePieceUnits():
            known = {"units": [BLANK, f" {UNKNOWN_TEXT} ", *units.symbols[2:-1], END], "joiner": "sentencepiece"}
            return {**known, "space": SENTENCEPIECE_SPACE}
    raise FoldError(f"export: units of kind {type(units).__name__} have no text each")

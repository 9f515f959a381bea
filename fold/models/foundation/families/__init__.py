"""The families of pre-trained networks that can be folded: one file each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fold.errors import FoldError
from fold.models.foundation.families.conformer import Conformer
from fold.models.foundation.families.data2vec import Data2Vec
from fold.models.foundation.families.family import Builder, Family, Parts
from fold.models.foundation.families.pruned import Pruned
from fold.models.foundation.families.pruned_wavlm import PrunedWavLM
from fold.models.foundation.families.w2v_bert import BertShape, W2vBert
from fold.models.foundation.families.wav2vec2 import Wav2Vec2
from fold.models.foundation.families.wavlm import WavLM
from fold.models.foundation.shape import TORCHAUDIO_EPSILON, AnyShape, Shape

WritableShape = Shape | BertShape
"""Shapes that settings may hold, of models that begin with random weights."""

FAMILIES: dict[str, Family] = {  # by their `model_type` in transformers
    "wav2vec2": Wav2Vec2("Wav2Vec2", "wav2vec2."),
    "hubert": Wav2Vec2("Hubert", "hubert."),
    "wavlm": WavLM("WavLM", "wavlm."),
    "unispeech": Wav2Vec2("UniSpeech", "unispeech."),
    "unispeech-sat": Wav2Vec2("UniSpeechSat", "unispeech_sat."),
    "data2vec-audio": Data2Vec("Data2VecAudio", "data2vec_audio."),
    "wav2vec2-conformer": Conformer("Wav2Vec2Conformer", "wav2vec2_conformer."),
    "wav2vec2-bert": W2vBert("Wav2Vec2Bert", "wav2vec2_bert."),
}
BUILDERS: dict[str, Builder] = {  # by the `family` of shapes
    **FAMILIES,
    "pruned": Pruned(),
    "pruned-wavlm": PrunedWavLM(),
}


def find_family(model_type: object) -> Family:
    """The family of that `model_type`. Raises FoldError, naming all, if there is none."""
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise FoldError(f"model_type is {model_type!r}; expected one of {', '.join(FAMILIES)}")
    return FAMILIES[model_type]


def builder_of(family: str) -> Builder:
    """What builds the networks of shapes whose `family` is this."""
    return BUILDERS[family]


def shape_from_plain(plain: Mapping[str, Any]) -> AnyShape:
    """The shape that a checkpoint keeps as a dictionary. Those of the first versions kept no epsilon: it was that of
    torchaudio."""
    return builder_of(plain["family"]).shape_from_plain({"epsilon": TORCHAUDIO_EPSILON, **plain})


__all__ = ["FAMILIES", "Family", "Parts", "WritableShape", "builder_of", "find_family", "shape_from_plain"]

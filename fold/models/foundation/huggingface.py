"""Hugging Face directories as sources of pre-trained weights. Read without executing anything in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar, get_type_hints

from fold.errors import FoldError
from fold.models.foundation.families import Family, find_family
from fold.models.foundation.files import CONFIG, Files
from fold.models.foundation.masking import Masking
from fold.models.foundation.shape import AnyShape, Dropouts
from fold.models.foundation.tokens import Vocabulary
from fold.models.foundation.weights import Weights, open_file, open_folder

T = TypeVar("T", Dropouts, Masking)

ADAPTER = "adapter.{}"  # of a language, before the ending
MASKING = {
    "time_share": "mask_time_prob",
    "time_span": "mask_time_length",
    "channel_share": "mask_feature_prob",
    "channel_span": "mask_feature_length",
}
USUAL_MASKING = Masking(0.05, 10, 0.0, 10)  # of transformers, where a configuration does not say
HEAD = "lm_head.weight"


@dataclass(frozen=True)
class Directory:
    """A Hugging Face directory. language: whose adapter and vocabulary, where there are several; None: its own."""

    path: Path
    language: str | None = None

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return self.path

    @cached_property
    def files(self) -> Files:
        return Files(self.folder)

    @property
    def sample_rate(self) -> int:
        return int((self.files.extractor or {}).get("sampling_rate", 16000))

    @property
    def family(self) -> Family:
        model_type = self.files.config.get("model_type")
        try:
            return find_family(model_type)
        except FoldError as error:
            raise FoldError(f"{self.folder / CONFIG}: {error}") from None

    def shape(self) -> AnyShape:
        family, config, extractor = self.family, self.files.config, self.files.extractor
        try:
            return family.shape(config, extractor)
        except (FoldError, TypeError) as error:
            raise FoldError(f"{self.folder / CONFIG}: {error}") from None

    def vocabulary(self) -> Vocabulary | None:
        listed = self.files.config.get("architectures")
        named = isinstance(listed, list) and any(str(name).endswith("ForCTC") for name in listed)
        if not named and HEAD not in self.weights:
            return None
        return self.files.vocabulary(self.language)

    def dropouts(self) -> Dropouts:
        return self._given(Dropouts, self.family.dropout_fields()).over(self.family.usual_dropouts)

    def masking(self) -> Masking:
        masking = self._given(Masking, MASKING).over(USUAL_MASKING)
        if self.files.config.get("apply_spec_augment", True):
            return masking
        return dataclasses.replace(masking, time_share=0.0, channel_share=0.0)

    def _given(self, kind: type[T], names: Mapping[str, str]) -> T:
        """What config.json says of training, null where it says nothing; names: there, of the fields of a kind."""
        kinds, config = get_type_hints(kind), self.files.config
        for field, name in names.items():
            self.files.check_value(CONFIG, name, config.get(name), kinds[field])
        try:
            return kind(**{field: config.get(name) for field, name in names.items()})
        except FoldError as error:
            raise FoldError(f"{self.folder / CONFIG}: {error}") from None

    def fetch(self) -> None:
        """Nothing: the files lie here."""

    @property
    def left_out(self) -> tuple[str, ...]:
        return self.family.left_out

    def names(self, ours: str) -> tuple[str, ...]:
        return self.family.names(ours)

    @cached_property
    def weights(self) -> Weights:
        """Those of the language, if one is given."""
        weights = open_folder(self.folder, self.family.prefix)
        if self.language is None:
            return weights
        for ending in (".safetensors", ".bin"):
            file = self.folder / (ADAPTER.format(self.language) + ending)
            if file.exists():
                return open_file(file, self.family.prefix).over(weights)
        if self.language == self.files.default_language:
            return weights
        there = sorted(file.name.split(".")[1] for file in self.folder.glob(ADAPTER.format("*")))
        shown = ", ".join(there[:10]) + (f" and {len(there) - 10} more" if len(there) > 10 else "")
        raise FoldError(f"{self.folder}: holds no adapter.{self.language}.safetensors; languages: {shown or 'none'}")

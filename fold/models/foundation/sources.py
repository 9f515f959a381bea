"""Where pre-trained weights come from: one of torchaudio's bundles, or a Hugging Face directory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torchaudio.models import Wav2Vec2Model

from fold.errors import FoldError
from fold.models.foundation.huggingface import Directory
from fold.models.foundation.shape import Shape, bundle_shape, bundles
from fold.models.foundation.tokens import BLANK, WORD_DELIMITER


class Source(Protocol):
    """Pre-trained weights."""

    sample_rate: int

    def shape(self) -> Shape:
        """The model's shape, known without its weights."""

    def tokens(self) -> Sequence[str] | None:
        """What the rows of its CTC head stand for (see `fold.models.foundation.tokens`); None: it has no head."""

    def fetch(self) -> None:
        """Puts the weights on this machine, if they are not there."""

    def model(self) -> tuple[Wav2Vec2Model, torch.Tensor | None]:
        """The model in torchaudio's form, and the vector of masked frames if it is known."""


@dataclass(frozen=True)
class Bundle:
    """One of torchaudio's pre-trained models, downloaded once into torch's cache of the user."""

    name: str

    @property
    def bundle(self) -> Any:
        return bundles()[self.name]

    @property
    def sample_rate(self) -> int:
        return int(self.bundle.sample_rate)

    def shape(self) -> Shape:
        return bundle_shape(self.name)

    def tokens(self) -> Sequence[str] | None:
        if not hasattr(self.bundle, "get_labels"):
            return None
        names = {"-": BLANK, "|": WORD_DELIMITER}
        return [names.get(label, label) for label in self.bundle.get_labels()]

    def fetch(self) -> None:
        self.model()

    def model(self) -> tuple[Wav2Vec2Model, torch.Tensor | None]:
        """Raises FoldError if it can be neither found in the cache nor downloaded."""
        try:
            model = self.bundle.get_model(dl_kwargs={"weights_only": True, "map_location": "cpu"})
        except Exception as error:  # of a connection, a proxy, a full disk, a damaged file
            cache = Path(torch.hub.get_dir()) / "checkpoints"
            raise FoldError(
                f"source {self.name}: not downloaded ({error}); without a connection put its file into {cache}, or "
                "give a Hugging Face directory as source"
            ) from None
        return getattr(model, "model", model), None


def find_source(name: str) -> Source:
    """The source of that name. Raises FoldError if there is none."""
    if name in bundles():
        return Bundle(name)
    if Path(name).is_dir():
        return Directory(Path(name))
    raise FoldError(f"source '{name}': no folder, and none of torchaudio's models, which are {', '.join(bundles())}")

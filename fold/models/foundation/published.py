"""What checkpoints of compressed models have in common: one file, whose weights go by torchaudio's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from fold.models.foundation.bundles import torchaudio_name
from fold.models.foundation.masking import Masking


@dataclass(frozen=True)
class Published:
    """A checkpoint of a compressed model. path: of its file; content: what the file holds."""

    path: Path
    content: Mapping[str, Any] = field(repr=False, compare=False)

    HOLDS: ClassVar[tuple[str, ...]]
    """The dictionaries by which a file of the kind is known."""
    sample_rate: ClassVar[int] = 16000
    left_out: ClassVar[tuple[str, ...]] = ()

    def masking(self) -> Masking:
        """Unknown: if anything was masked, it was for predicting what was."""
        return Masking()

    def fetch(self) -> None:
        """Nothing: the file lies here."""

    def names(self, ours: str) -> tuple[str, ...]:
        return (torchaudio_name(ours),)

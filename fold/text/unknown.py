"""Training transcripts that hold what a model has no unit for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fold.text.units import Units


@dataclass(frozen=True)
class Unknown:
    """How much of a training transcript may be unknown.

    share: of its units, the most; advice: what would be right where it is more.
    """

    share: float = 0.0
    advice: str = ""

    def allows(self, units: Sequence[int], unk: int) -> bool:
        """Whether the units of a transcript can be trained with. unk: the unknown one."""
        return units.count(unk) <= self.share * len(units)

    def told(self, units: Units, corpus: Units) -> str:
        """What is to be said of a corpus before it is trained with; empty if nothing.

        units: of the model; corpus: those that its transcripts would have.
        """
        known = set("".join(units.symbols[2:-1]))
        lacking = "".join(character for character in corpus.symbols[2:-1] if character not in known)
        if not self.share or not lacking:
            return ""
        return f"the CTC head has no unit for '{lacking}' of the corpus, but its unknown unit; {self.advice}"


ALL_KNOWN = Unknown()
"""Of a model whose units are those of the corpus."""

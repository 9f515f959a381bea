"""What the rows of a pre-trained CTC head stand for, and its rows in fold's order of units."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fold.errors import FoldError
from fold.text.units import CharUnits, Units

NEW_HEAD = "--model.network.keep_head=false trains a CTC head of its own"
NEVER = -30.0  # logit of a unit that the pre-trained head does not have


@dataclass(frozen=True)
class Vocabulary:
    """The rows of a CTC head that have a part in text.

    units: how the units read, a space between words among them; rows: theirs, in the same order;
    blank, unknown, end: the rows of these; separator: between any two units in text (where they are phonemes).
    """

    units: tuple[str, ...]
    rows: tuple[int, ...]
    blank: int
    unknown: int | None = None
    end: int | None = None
    separator: str = ""

    @property
    def in_order(self) -> tuple[int | None, ...]:
        """The rows in fold's order: blank, unknown, units, end."""
        return (self.blank, self.unknown, *self.rows, self.end)


def units_of_head(vocabulary: Vocabulary, corpus: Units, source: str | None) -> CharUnits:
    """The units of a pre-trained head, its letters in the case that the corpus has. Characters of the corpus that the
    head lacks are unknown to it.

    Raises FoldError if the corpus has other units than characters, if its transcripts do not set apart what the head
    has as units, if units that differ become one in the case of the corpus, or if it has characters of which the head
    cannot say even that they are unknown.
    """
    head = f"source {source}: its CTC head"
    if not isinstance(corpus, CharUnits):
        raise FoldError(f"{head} was trained on characters; --data.units.kind=char, or {NEW_HEAD}")
    wanted, separator = set("".join(corpus.characters)), vocabulary.separator
    if not wanted >= set(separator):
        raise FoldError(f"{head} has units with {separator!r} between them, and the corpus has none; {NEW_HEAD}")
    wanted -= set(separator)
    cases = [list(vocabulary.units), *(_in_case(vocabulary.units, change) for change in (str.lower, str.upper))]
    letters = min(cases, key=lambda case: len(_missing(wanted, case)))
    if twice := [unit for unit, number in Counter(letters).items() if number > 1]:
        raise FoldError(f"{head} has several units that are all '{twice[0]}' in the case of the corpus; {NEW_HEAD}")
    missing = _missing(wanted, letters)
    in_another_case = missing & set("".join(c.lower() + c.upper() for c in letters))
    if in_another_case or missing >= wanted - {" "} or (missing and vocabulary.unknown is None):
        named = "mixed case" if in_another_case else "".join(sorted(missing))
        raise FoldError(f"{head} has no unit for '{named}' of the corpus; {NEW_HEAD}")
    return CharUnits(letters, corpus.normaliser, separator)


def _in_case(units: Sequence[str], change: Callable[[str], str]) -> list[str]:
    """The units in another case, but for those that it makes longer: ß is SS there, and no unit of its own."""
    return [changed if len(changed := change(unit)) == len(unit) else unit for unit in units]


def _missing(wanted: set[str], units: list[str]) -> set[str]:
    """The characters that occur in no unit."""
    return wanted - set("".join(units))


@torch.no_grad()
def load_head(head: nn.Linear, weight: Tensor, bias: Tensor, vocabulary: Vocabulary, where: str) -> None:
    """Copies the rows of a pre-trained head into one in fold's order. where: its file, for messages.

    weight: (rows, dim); bias: (rows,). Unknown token and end may lie beyond the head, where a tokenizer got them after
    training: it never says them.

    Raises FoldError if a unit or the blank lies beyond the head, or if that is of another width than the model.
    """
    shapes, width = (tuple(weight.shape), tuple(bias.shape)), head.in_features
    if len(shapes[0]) != 2 or shapes != ((len(weight), width), (len(weight),)):
        told = f"its CTC head has weights {list(shapes[0])} and biases {list(shapes[1])}"
        raise FoldError(f"{where}: {told}: expected [rows, {width}] and [rows]")
    last = max(vocabulary.blank, *vocabulary.rows)
    if last >= len(weight):
        raise FoldError(f"{where}: its CTC head has {len(weight)} rows, but its vocabulary names row {last}")
    head.weight.zero_()
    head.bias.fill_(NEVER)
    for row, original in enumerate(vocabulary.in_order):
        if original is not None and original < len(weight):
            head.weight[row] = weight[original]
            head.bias[row] = bias[original]

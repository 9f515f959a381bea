"""What the rows of a pre-trained CTC head stand for, and its rows in fold's order of units.

A token is a character, WORD_DELIMITER (a space), or one of BLANK, UNKNOWN, END; anything else has no part in text.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from fold.errors import FoldError
from fold.text.units import CharUnits, Units

BLANK, UNKNOWN, END, WORD_DELIMITER = "<blank>", "<unk>", "</s>", " "
NEVER = -30.0  # logit of a unit that the pre-trained head does not have


def characters(tokens: Sequence[str]) -> tuple[str, ...]:
    """The characters among the tokens, in their order."""
    return tuple(token for token in tokens if len(token) == 1)


def units_of_head(vocabulary: Sequence[str], corpus: Units, source: str) -> CharUnits:
    """The units of a pre-trained head, its letters in the case that the corpus has.

    Raises FoldError if the corpus has other characters, or other units than characters.
    """
    advice = "--model.network.keep_head=false trains a head of its own"
    if not isinstance(corpus, CharUnits):
        raise FoldError(f"source {source}: its CTC head has characters for units; --data.units.kind=char, or {advice}")
    wanted = set(corpus.characters)
    for letters in (vocabulary, [c.lower() for c in vocabulary], [c.upper() for c in vocabulary]):
        if wanted <= set(letters) and len(set(letters)) == len(letters):
            return CharUnits(letters, corpus.normaliser)
    missing = "".join(sorted(wanted - {form for c in vocabulary for form in (c, c.lower(), c.upper())})) or "mixed case"
    raise FoldError(f"source {source}: its CTC head has no unit for '{missing}' of the corpus; {advice}")


@torch.no_grad()
def load_head(head: nn.Linear, original: nn.Linear, tokens: Sequence[str]) -> None:
    """Copies the rows of a pre-trained head into one in fold's order: blank, unknown, characters, end."""
    kept = [BLANK, UNKNOWN, *characters(tokens), END]
    head.weight.zero_()
    head.bias.fill_(NEVER)
    for row, token in enumerate(kept):
        if token in tokens:
            head.weight[row] = original.weight[tokens.index(token)]
            head.bias[row] = original.bias[tokens.index(token)]

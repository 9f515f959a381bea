"""How transcripts are found where the command line does not say."""

from __future__ import annotations

import os
from typing import Any

import yaml

from fold import checkpoint
from fold.decoding.decode import Decoding
from fold.errors import FoldError


def trained_decoding(content: dict[str, Any], file: str | os.PathLike[str]) -> Decoding:
    """The decoding of the test that followed a checkpoint's training; greedy if the checkpoint does not say.

    content: what `checkpoint.read` gave of `file`. Raises FoldError if its settings make no decoding.
    """
    model = (yaml.safe_load(content.get(checkpoint.CONFIG, "{}")) or {}).get("model", {})
    stated = model.get("test_decoding", model.get("decoding", {}))  # formerly one for validation and test
    try:
        return Decoding(**stated)
    except TypeError:
        raise FoldError(f"checkpoint {file}: test_decoding is {stated}, expected the settings of a decoding") from None

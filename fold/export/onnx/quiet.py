"""Keeps the advice of exporters and quantisers, which is for their own users, from those of fold."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet(logger: str | None = None) -> Iterator[None]:
    """Lets a logger (None: the root) say errors alone, and nobody warn; undoes what is done to the logger meanwhile."""
    chosen = logging.getLogger(logger)
    level, handlers = chosen.level, chosen.handlers[:]
    chosen.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        chosen.setLevel(level)
        chosen.handlers[:] = handlers  # ONNX Runtime's quantiser, once imported, prints whatever any library logs

"""What Lightning and PyTorch refuse becomes one line, as what fold refuses is."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from lightning.fabric.utilities.exceptions import MisconfigurationException

from fold.errors import FoldError, one_line

LIBRARIES = ("lightning", "lightning_utilities", "jsonargparse", "wandb")  # which check what a user gives them


@contextmanager
def refusals_in_one_line() -> Iterator[None]:
    """Around what the settings of a user are given to.

    Raises FoldError for what one of the libraries raised itself, as they do for bad settings. What fold or PyTorch
    raise within them is a fault of the program, and stays as it is.
    """
    try:
        yield
    except FoldError:
        raise
    except Exception as error:
        if isinstance(error, MisconfigurationException) or _raised_by(error) in LIBRARIES:
            raise FoldError(one_line(error)) from error
        raise


def _raised_by(error: Exception) -> str:
    """The package whose code raised an error."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    module: str = frame.f_globals.get("__name__", "")
    return module.partition(".")[0]

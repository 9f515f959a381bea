"""What Lightning and PyTorch refuse becomes one line, as what fold refuses is."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from lightning.fabric.utilities.exceptions import MisconfigurationException

from fold.errors import FoldError, one_line

LIBRARIES = ("lightning", "lightning_utilities", "jsonargparse", "wandb")  # which check what a user gives them
LACKING = {  # what PyTorch says where a machine lacks something: what would be right
    "EADDRINUSE": "MASTER_PORT: another program uses this port; name a free one",
    "allocate shared memory": "/dev/shm is full; give it more (docker: --shm-size=8g), or set data.num_workers=0",
    "out of shared memory": "/dev/shm is full; give it more (docker: --shm-size=8g), or set data.num_workers=0",
    "CUDA out of memory": "the GPU's memory is full; lower data.batch_seconds",
    "can't allocate memory": "the memory is full; lower data.batch_seconds, or take a smaller model",
}


@contextmanager
def refusals_in_one_line() -> Iterator[None]:
    """Around what the settings of a user are given to.

    Raises FoldError for what one of the libraries raised itself, as they do for bad settings. What fold or PyTorch
    raise within them is a fault of the program, and stays as it is, unless the machine lacks something.
    """
    try:
        yield
    except FoldError:
        raise
    except Exception as error:
        if isinstance(error, MisconfigurationException) or _raised_by(error) in LIBRARIES:
            raise FoldError(one_line(error)) from error
        if isinstance(error, RuntimeError) and (advice := _lacking(str(error))):
            *_, last = str(error).strip().splitlines()  # of a reader's error the lines before tell where it was
            raise FoldError(f"{advice} ({last})") from error
        raise


def _raised_by(error: Exception) -> str:
    """The package whose code raised an error."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    module: str = frame.f_globals.get("__name__", "")
    return module.partition(".")[0]


def _lacking(told: str) -> str | None:
    """What would be right, if an error of PyTorch's says that the machine lacks something."""
    return next((advice for sign, advice in LACKING.items() if sign in told), None)

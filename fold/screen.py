"""What stands on the screen beside results: whole lines that tear no progress bar, and none that nobody can use."""

from __future__ import annotations

import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from tqdm import tqdm

LOGGERS = ("lightning", "lightning.pytorch", "lightning.fabric", "fold")

HARMLESS_NOTICES = re.compile(
    r".*("
    r"Tip: |"  # adverts
    r"(GPU|TPU|HPU) available: |"  # the line of a run about itself says what it uses
    r"Using .* Automatic Mixed Precision|"
    r"Seed set to |Initializing distributed: |distributed_backend=|-{20,}|"
    r"`?Trainer\(limit_\w+=|"  # asked for, and in the configuration
    r"`weights_only` was not set|"
    r"`Trainer\.fit` stopped: |"
    r"Restoring states from |Restored all states from |Loaded model weights from "
    r")"
)


def say(line: str) -> None:
    """Prints a line on standard output, above a progress bar if one is shown."""
    tqdm.write(line, file=sys.stdout)


@contextmanager
def whole_lines() -> Iterator[None]:
    """Within, log messages and warnings are lines on standard error that tear no progress bar; those that say nothing
    of use are left out, and of several processes only the first speaks, unless it is an error."""
    handler, show = _Handler(), warnings.showwarning
    before = [(logger, logger.handlers[:]) for logger in map(logging.getLogger, LOGGERS)]
    for logger, handlers in before:
        if handlers or logger.name == "fold":  # the others pass theirs on
            logger.handlers[:] = [handler]
    warnings.showwarning = _show_warning
    try:
        yield
    finally:
        warnings.showwarning = show
        for logger, handlers in before:
            logger.handlers[:] = handlers


class _Handler(logging.Handler):
    """Writes a message as one line, or as the lines that it has."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception:  # as logging does: a bad message must not end a run
            self.handleError(record)
            return
        if record.levelno >= logging.ERROR or not (_is_further_process() or HARMLESS_NOTICES.match(text.strip())):
            tqdm.write(text.rstrip(), file=sys.stderr)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    if not _is_further_process():
        tqdm.write(f"warning: {str(message).strip()}", file=sys.stderr)


def _is_further_process() -> bool:
    """Whether this is not the first process of a machine, as launchers number them."""
    return os.environ.get("LOCAL_RANK", "0") != "0"

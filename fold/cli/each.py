"""Commands on many files, of which some may be bad."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from fold.errors import FoldError, FoldWarning


class Each:
    """Files that are worked on one after another: a bad one among many is told, and the others are still done.

    command: that works on them; total: how many they are.
    """

    def __init__(self, command: str, total: int) -> None:
        self.command = command
        self.total = total
        self.failed = 0

    @contextmanager
    def trying(self) -> Iterator[None]:
        """Around the work on one file: its faults are told. A single file's error ends the command."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("always", FoldWarning)
                warnings.showwarning = lambda message, *where: self.tell(str(message))
                yield
        except FoldError as error:
            if self.total == 1:
                raise
            self.failed += 1
            self.tell(str(error))

    def tell(self, line: str) -> None:
        """Says something about a file beside the command's output."""
        print(f"{self.command}: {line}", file=sys.stderr, flush=True)

    def end(self) -> None:
        """After all files. Raises FoldError if some were bad, and so gives the command its exit status."""
        if self.failed:
            raise FoldError(f"{self.failed} of {self.total} files failed, as told above; the others are done")

"""Signals by which a cluster, a terminal or a user asks a run to end."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP)
CTRL_C = b"\nending after this step; Ctrl-C once more ends at once, without a checkpoint\n"


class EndingSignals:
    """Remembers the first signal that asks this process to end; a second Ctrl-C ends it at once.

    received: its number, 0 before it came.
    """

    def __init__(self) -> None:
        self.received = 0

    def watch(self) -> None:
        """Replaces the handlers of this process. A signal that it was started to ignore (nohup) stays ignored."""
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            signal.signal(number, signal.SIG_DFL)
            os.write(2, CTRL_C)  # print could be at work already, and cannot be entered twice
        self.received = self.received or number


@contextmanager
def handlers_restored() -> Iterator[None]:
    """Ends with the handlers that it began with."""
    before = {number: signal.getsignal(number) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_workers() -> None:
    """Ends the processes that this one has started and left. Python would send them SIGTERM, which they do not see."""
    handler = signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # PyTorch's takes the end of a worker for a failure
    for worker in multiprocessing.active_children():
        worker.kill()
        worker.join()
    signal.signal(signal.SIGCHLD, handler)

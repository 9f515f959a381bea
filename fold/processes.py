"""The processes that a run starts to read or to prepare audio: how they begin, and that they end with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import BaseContext

from fold.signals import ENDING

IMPORTED = ["fold.data.stream", "fold.losses", "fold.models"]  # of what readers need, whatever takes long to import


def reader_context() -> BaseContext:
    """How the readers of a data loader begin: forked from a process that does nothing but fork them.

    A fork of the training process itself copies locks that its other threads may hold at that moment, and whoever waits
    for one of these in the copy waits for ever.
    """
    multiprocessing.set_forkserver_preload(IMPORTED)
    with blocked(ENDING):
        resource_tracker.ensure_running()  # it unblocks some of them, so the server needs a block of its own
    with blocked(ENDING):
        forkserver.ensure_running()
    return multiprocessing.get_context("forkserver")


def start_reader(number: int) -> None:
    """What reader `number` of a data loader does first."""
    end_with_parent()


def end_with_parent() -> None:
    """Leaves no process behind when the one that asked for it is killed."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def blocked(signals: Collection[signal.Signals]) -> Iterator[None]:
    """Processes started meanwhile never see these signals, which clusters and terminals send to a whole process group:
    it is for the process that started them to end them. Its own signals come afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

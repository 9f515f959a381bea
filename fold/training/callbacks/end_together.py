"""What a failed rank does to the others."""

from __future__ import annotations

import signal
from typing import Any

import lightning


class EndTogether(lightning.Callback):
    """Ends the other ranks of this machine when rank 0 fails: they would wait for it, and each then tell of a broken
    connection."""

    def on_exception(self, trainer: lightning.Trainer, pl_module: Any, exception: BaseException) -> None:
        launcher = trainer.strategy.launcher
        if launcher is not None:
            launcher.kill(signal.SIGKILL)

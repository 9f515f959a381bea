"""The logger of W&B's runs: no training ends because of it."""

from __future__ import annotations

import os
from typing import Any

import wandb
from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import WandbLogger

from fold.errors import one_line
from fold.screen import say

PROJECT = "fold"  # unless a setting or WANDB_PROJECT names another
LONGEST = {"name": 128, "group": 128}  # characters, in W&B
LONGEST_TAG = 64


class SteadyWandbLogger(WandbLogger):
    """Lightning's, but where W&B cannot be reached, or nobody is logged in, the run is kept on disk; names that W&B
    would refuse are cut; and `WANDB_MODE=disabled` switches it off.

    Args:
        **kwargs: WandbLogger's own.
    """

    def __init__(self, **kwargs: Any) -> None:
        for name, longest in LONGEST.items():
            if isinstance(kwargs.get(name), str):
                kwargs[name] = kwargs[name][:longest]
        if kwargs.get("tags"):
            kwargs["tags"] = [tag[:LONGEST_TAG] for tag in kwargs["tags"]]
        kwargs["project"] = kwargs.get("project") or os.environ.get("WANDB_PROJECT", PROJECT)
        super().__init__(**kwargs)
        if os.environ.get("WANDB_MODE") == "disabled" or os.environ.get("WANDB_DISABLED", "").lower() == "true":
            self._wandb_init["mode"] = "disabled"

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        try:
            return super().experiment
        except wandb.errors.Error as error:
            if self._wandb_init.get("mode") == "offline":
                raise
            say(f"W&B: {one_line(error)} The run is kept on disk; `wandb sync` uploads it later")
            self._wandb_init["mode"] = "offline"
            return super().experiment

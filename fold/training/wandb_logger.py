"""The logger of W&B's runs: no training ends because of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import wandb
from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import WandbLogger
from pydantic import ValidationError

from fold.errors import FoldError, one_line
from fold.screen import say

PROJECT = "fold"  # unless a setting or WANDB_PROJECT names another
LONGEST = {"name": 128, "group": 128}  # characters, in W&B
LONGEST_TAG = 64


@contextmanager
def environment_checked() -> Iterator[None]:
    """Around what lets W&B read its settings. Raises FoldError, before anything is trained, for those it refuses."""
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        setting = ".".join(map(str, first["loc"]))
        raise FoldError(
            f"W&B refuses its setting {setting} (of a variable WANDB_...): {first['msg']}; it is {first['input']!r}. "
            "WANDB_MODE=disabled trains without W&B"
        ) from error


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
            with environment_checked():
                return super().experiment
        except wandb.errors.Error as error:
            if self._wandb_init.get("mode") == "offline":
                raise
            say(f"W&B: {one_line(error)} The run is kept on disk; `wandb sync` uploads it later")
            self._wandb_init["mode"] = "offline"
            return super().experiment

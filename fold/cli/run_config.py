"""The resolved settings of a run: in its folder, in W&B and in its checkpoints."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import lightning
import yaml
from lightning.pytorch.cli import LightningArgumentParser, SaveConfigCallback
from lightning.pytorch.utilities import rank_zero_only

from fold.checkpoint import CONFIG
from fold.errors import FoldError
from fold.settings import current_names, differences
from fold.training import run_folder, wandb_run
from fold.training.parts import data_of
from fold.training.resume import move_to

WANDB_ID = "wandb_id"  # in a checkpoint


def plain(parser: LightningArgumentParser, config: Any) -> dict[str, Any]:
    """Parsed settings as YAML has them; as they have been parsed, they are not checked again."""
    settings: dict[str, Any] = yaml.safe_load(parser.dump(config, skip_unset=False, skip_validation=True))
    return settings


def run_settings(parser: LightningArgumentParser, config: Any) -> dict[str, Any]:
    """What a run computes, without where it leaves its files."""
    dumped = plain(parser, config)
    kept = {name: dumped[name] for name in ("experiment", "random_seed", "init_from", "model", "data", "trainer")}
    kept["trainer"] = {k: v for k, v in kept["trainer"].items() if k not in ("logger", "default_root_dir")}
    return kept


class SaveRunConfig(SaveConfigCallback):
    """Writes the resolved configuration to the run folder, to W&B and into checkpoints."""

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What the run computes: the same in each of its checkpoints."""
        return run_settings(self.parser, self.config)

    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        if stage != "fit":
            super().setup(trainer, pl_module, stage)

    def on_train_batch_start(self, trainer: lightning.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """A training is written down once it trains: one that is refused until then leaves a run as it was. Does
        nothing on further calls."""
        super().setup(trainer, pl_module, "fit")

    @rank_zero_only
    def save_config(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        wandb_run.log_config(trainer, self.config.as_dict())
        file = Path(self.config.run_dir) / "config.yaml"
        if stage == "fit" or not file.exists():  # an evaluation in a run's folder leaves its configuration alone
            config = plain(self.parser, wandb_run.without_run(self.config))
            for name in ("ckpt_path", "allow_changes") if stage == "fit" else ():  # of going on with this run
                del config[name]
            for part in (config["data"], config["model"]):
                if part["random_seed"] == config["random_seed"]:  # whoever starts from this file changes one for all
                    part["random_seed"] = "${random_seed}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(yaml.safe_dump(run_folder.without_place(config, self.config.run_dir), sort_keys=False))

    def on_save_checkpoint(self, trainer: lightning.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint[CONFIG] = yaml.safe_dump(self.settings)
        checkpoint[WANDB_ID] = wandb_run.run_id(trainer)

    def on_load_checkpoint(self, trainer: lightning.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn != "fit":
            return
        step = data_of(trainer).moved_to  # known by now: Lightning restores the model, the data, then callbacks
        if step is not None:
            move_to(checkpoint, step, trainer.accumulate_grad_batches)
        if CONFIG not in checkpoint:
            return
        before, now = (current_names(each) for each in (yaml.safe_load(checkpoint[CONFIG]), self.settings))
        _check_optimizer(before, now)
        if trainer.is_global_zero:
            for line in differences(before, now):
                print(f"resumed with {line}")


def _check_optimizer(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Raises FoldError if a run would go on with another optimizer than the one whose state its checkpoint holds."""
    was, given = (settings["model"]["optimizer"]["class_path"] for settings in (before, now))
    if was != given:
        raise FoldError(
            f"model.optimizer: the checkpoint holds the state of {was}, of which {given} can make nothing; go on with "
            f"--model.optimizer.class_path={was}, or begin a new run from its weights with --init_from"
        )

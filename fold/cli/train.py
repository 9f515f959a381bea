"""`fold fit|validate|test|predict`: LightningCLI with run folders, a depth sweep and one-line errors."""

from __future__ import annotations

import os
import warnings
from datetime import datetime
from pathlib import Path
from typing import Any

import lightning
import yaml
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.plugins import CheckpointIO
from lightning.pytorch.utilities import rank_zero_only

from fold import checkpoint
from fold.checkpoint import CONFIG
from fold.cli.parser import OneLineErrors
from fold.data.datamodule import SpeechData
from fold.errors import FoldError
from fold.settings import differences
from fold.training import wandb_run
from fold.training.callbacks import (
    BadData,
    DepthSweep,
    EndTogether,
    Preemption,
    RunCheckpoint,
    StepProgress,
    TrainingTime,
    TranscriptWriter,
)
from fold.training.checkpoint_io import BEFORE_LAST, LAST, SafeCheckpointIO, newest_checkpoint
from fold.training.module import FoldableASR
from fold.training.resume import move_to
from fold.training.updates import check_precision, count_in_updates

LATEST = "latest"  # names the newest run of an experiment
WANDB_ID = "wandb_id"  # in a checkpoint
STAMP = "FOLD_RUN_STAMP"  # processes that Lightning launches for DDP inherit it, and so the run folder

HARMLESS_WARNINGS = (
    "LightningCLI's args parameter",
    "It is recommended to use `self.log\\('(val|test)/wer/",  # error counts are summed over ranks before
    "You're using the WeightAveraging callback with a model that overrides",  # the model is not sharded
    "The '.*' does not have many workers",
    "`isinstance\\(treespec, LeafSpec\\)` is deprecated",
)


class Parser(OneLineErrors, LightningArgumentParser):
    """LightningCLI's parser with one-line errors."""


class SaveRunConfig(SaveConfigCallback):
    """Writes the resolved configuration to the run folder, to W&B and into checkpoints; points `latest` to the run."""

    @rank_zero_only
    def save_config(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        folder = Path(self.config.run_dir)
        folder.mkdir(parents=True, exist_ok=True)
        self.parser.save(self.config, folder / "config.yaml", skip_unset=False, overwrite=True, multifile=False)
        wandb_run.log_config(trainer, self.config.as_dict())
        for callback in trainer.callbacks:
            if isinstance(callback, DepthSweep):
                callback.settings = yaml.safe_load(self._settings())
        latest = folder.parent / LATEST
        unfinished = folder.parent / f".latest-{os.getpid()}"
        unfinished.symlink_to(folder.name)
        unfinished.replace(latest)

    def on_save_checkpoint(self, trainer: lightning.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint[CONFIG] = self._settings()
        checkpoint[WANDB_ID] = wandb_run.run_id(trainer)

    def on_load_checkpoint(self, trainer: lightning.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn != "fit":
            return
        step = trainer.datamodule.moved_to  # known by now: Lightning restores the model, the data, then callbacks
        if step is not None:
            move_to(checkpoint, step, trainer.accumulate_grad_batches)
        if trainer.is_global_zero and CONFIG in checkpoint:
            for line in differences(yaml.safe_load(checkpoint[CONFIG]), yaml.safe_load(self._settings())):
                print(f"resumed with {line}")

    def _settings(self) -> str:
        """What a run computes, without where it leaves its files, as YAML."""
        config = yaml.safe_load(self.parser.dump(self.config, skip_unset=False))
        kept = {name: config[name] for name in ("experiment", "seed_everything", "model", "data", "trainer")}
        kept["trainer"] = {k: v for k, v in kept["trainer"].items() if k not in ("logger", "default_root_dir")}
        return yaml.safe_dump(kept)


@rank_zero_only
def set_aside(file: Path) -> None:
    """Gives a log that a logger would write anew the name `metrics-1.csv` (-2, ...)."""
    if file.exists():
        earlier = len(list(file.parent.glob(f"{file.stem}-*{file.suffix}")))
        file.rename(file.with_stem(f"{file.stem}-{earlier + 1}"))


class FoldCLI(LightningCLI):
    """Adds `experiment`, `run_dir`, the depth sweep and checkpoints to LightningCLI."""

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        parser = Parser(**{"dump_header": [f"lightning.pytorch=={lightning.__version__}"], **kwargs})
        parser.add_argument("-c", "--config", action="config", help="A YAML file; several compose, the last wins.")
        return parser

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--experiment", type=str, default="unnamed", help="Names the run's folder and group.")
        run_dir = f"runs/${{experiment}}/{os.environ[STAMP]}"
        parser.add_argument("--run_dir", type=str, default=run_dir, help="Where all files of the run go.")
        parser.add_argument("--offline", type=bool, default=True, help="Keep the W&B run on disk; false uploads it.")
        parser.add_argument(
            "--ckpt_path",
            type=str,
            default=None,
            help="Checkpoint to go on from or evaluate; 'last': the newest run's.",
        )
        parser.add_lightning_class_args(DepthSweep, "sweep")
        parser.add_lightning_class_args(TranscriptWriter, "transcripts")
        parser.add_lightning_class_args(RunCheckpoint, "checkpoint")
        parser.add_lightning_class_args(BadData, "bad_data")
        parser.add_lightning_class_args(Preemption, "preemption")
        parser.set_defaults(
            {
                "sweep.folder": "${run_dir}",
                "sweep.experiment": "${experiment}",
                "transcripts.folder": "${run_dir}",
                "checkpoint.dirpath": "${run_dir}/checkpoints",
                "checkpoint.filename": "best",
                "checkpoint.monitor": "val/wer/mean",
                "checkpoint.enable_version_counter": False,
            }
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: list[str] | None) -> None:
        """As LightningCLI, but `--ckpt_path last` stands for the newest run of the experiment and its checkpoint."""
        super().parse_arguments(parser, args)
        if self.config.ckpt_path != "last":
            return
        newest = Path(self.config.run_dir).parent / LATEST
        if not any(option.split("=")[0] == "--run_dir" for option in args) and newest.is_dir():
            parser.set_defaults({"run_dir": str(newest.parent / newest.resolve().name)})
            super().parse_arguments(parser, args)
        folder = Path(self.config.run_dir) / "checkpoints"
        if any((folder / name).exists() for name in (LAST, BEFORE_LAST)):
            file = newest_checkpoint(folder)
            wandb_run.resume(self.config.trainer.logger, checkpoint.read(file).get(WANDB_ID))
            self.config.ckpt_path = str(file)
        else:
            rank_zero_only(print)(f"no checkpoint in {self.config.run_dir}: training starts from the beginning")
            self.config.ckpt_path = None

    def instantiate_trainer(self, **kwargs: Any) -> lightning.Trainer:
        set_aside(Path(self.config.run_dir) / "metrics.csv")
        bars = [StepProgress()] if self.config.trainer.enable_progress_bar is not False else []
        self.trainer_defaults = {**self.trainer_defaults, "callbacks": [*bars, EndTogether(), TrainingTime()]}
        trainer = super().instantiate_trainer(plugins=self._plugins(), **kwargs)
        check_precision(trainer)
        count_in_updates(trainer, self.datamodule)
        return trainer

    def _plugins(self) -> list[Any]:
        """The user's plugins, and safe checkpoints unless one of these writes them."""
        given = self.config_init.trainer.plugins or []
        plugins = given if isinstance(given, list) else [given]
        writes = any(isinstance(plugin, CheckpointIO) for plugin in plugins)
        return plugins if writes else [*plugins, SafeCheckpointIO()]


TRAINER_DEFAULTS: dict[str, Any] = {
    "logger": [
        {
            "class_path": "lightning.pytorch.loggers.WandbLogger",
            "init_args": {
                "project": "fold",
                "name": "${experiment}",
                "group": "${experiment}",
                "tags": ["${experiment}", "${data.corpus.class_path}"],
                "save_dir": "${run_dir}",
                "offline": "${offline}",
            },
        },
        {
            "class_path": "lightning.pytorch.loggers.CSVLogger",
            "init_args": {"save_dir": "${run_dir}", "name": "", "version": ""},
        },
    ],
    "default_root_dir": "${run_dir}",
    "use_distributed_sampler": False,  # the data's own plans share batches out over ranks
    "num_sanity_val_steps": 0,
    "gradient_clip_val": 5.0,
}


def build(command: str, options: list[str]) -> FoldCLI:
    """Trainer, module and data of a command, instantiated."""
    for message in HARMLESS_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    os.environ.setdefault(STAMP, datetime.now().strftime("%Y%m%d-%H%M%S"))
    return FoldCLI(
        FoldableASR,
        SpeechData,
        args=options,
        run=False,  # without LightningCLI's subcommands, ${...} means the same in files, defaults and overrides
        save_config_callback=SaveRunConfig,
        save_config_kwargs={"save_to_log_dir": False},
        trainer_defaults=TRAINER_DEFAULTS,
        seed_everything_default=1,
        parser_kwargs={"parser_mode": "omegaconf+", "prog": f"fold {command}"},
    )


def run(arguments: list[str]) -> None:
    """Runs `fit`, `validate`, `test` or `predict` (the first argument) with the options that follow it."""
    command, *options = arguments
    cli = build(command, options)
    try:
        _execute(cli, command)
    except RuntimeError as error:
        if cli.trainer.world_size == 1 or "closed by peer" not in str(error):
            raise
        raise FoldError("another rank failed and told why above") from None
    wandb_run.finish()
    if cli.trainer.is_global_zero:
        print(f"run: {cli.config.run_dir}")


def _execute(cli: FoldCLI, command: str) -> None:
    cli.model.from_checkpoint = cli.config.ckpt_path is not None
    getattr(cli.trainer, command)(
        cli.model, datamodule=cli.datamodule, ckpt_path=cli.config.ckpt_path, weights_only=True
    )
    if command == "fit":  # one command shows the result: every depth, with the weights that training ended with
        last = Path(cli.config.checkpoint.dirpath) / LAST
        if last.exists():  # resumed at its very end, training changes nothing, and the averages are in the file alone
            cli.model.model.load_state_dict(checkpoint.load(last)[0].state_dict())
        cli.trainer.test(cli.model, datamodule=cli.datamodule, verbose=False)

"""`fold fit|validate|test|predict`: LightningCLI with run folders, a depth sweep and one-line errors."""

from __future__ import annotations

import os
import warnings
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import torch
import yaml
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.plugins import CheckpointIO
from lightning.pytorch.utilities import rank_zero_only

from fold import checkpoint
from fold.checkpoint import CONFIG
from fold.cli.closing import closing
from fold.cli.commands import COMMANDS
from fold.cli.foreign import refusals_in_one_line
from fold.cli.idle import check_effective
from fold.cli.run_config import WANDB_ID, SaveRunConfig, run_settings
from fold.cli.train_parser import TRAINER_DEFAULTS, Parser, add_settings
from fold.data.datamodule import SpeechData
from fold.device import choose_device
from fold.errors import FoldError
from fold.precision import choose_precision
from fold.registry import import_offered
from fold.screen import whole_lines
from fold.signals import end_workers, handlers_restored
from fold.training import accelerators, run_folder, wandb_run
from fold.training.callbacks import (
    Ended,
    EndTogether,
    Narration,
    RunSettings,
    StepProgress,
    Throughput,
    TrainingTime,
)
from fold.training.checkpoint_io import LAST, SafeCheckpointIO, newest_checkpoint
from fold.training.module import FoldableASR
from fold.training.run_folder import STAMP
from fold.training.updates import check_length, check_precision, count_in_updates
from fold.training.warm_start import WarmStart

HARMLESS_WARNINGS = (
    "LightningCLI's args parameter",
    "It is recommended to use `self.log\\('(val|test)/(.+/)?[wc]er/",  # error counts are summed over ranks before
    "The '.*' does not have many workers",
    "`isinstance\\(treespec, LeafSpec\\)` is deprecated",
    "The number of training batches .* is smaller than the logging interval",  # which counts updates over all epochs
    "Grad strides do not match bucket view strides",  # of depthwise convolutions under DDP
    "Experiment logs directory .* exists and is not empty",  # W&B's files are there before
    "You're resuming from a checkpoint that ended before the epoch ended",  # the data's own plans know where they were
    "ReduceLROnPlateau conditioned on metric .* which is not available but strict",  # until the first validation
)


class FoldCLI(LightningCLI):
    """Adds `experiment`, `run_dir`, the depth sweep and checkpoints to LightningCLI.

    command: `fit`, `validate`, `test` or `predict`; named: whether the default run folder is that of a job, which goes
    on in it.
    """

    def __init__(self, command: str, named: bool, **kwargs: Any) -> None:
        self.command, self.named = command, named
        self.held_settings: dict[str, Any] | None = None  # of the run that goes on
        self.warm_start: WarmStart | None = None  # of a new run
        super().__init__(FoldableASR, SpeechData, **kwargs)

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        parser = Parser(**{"dump_header": [f"lightning.pytorch=={lightning.__version__}"], **kwargs})
        parser.add_config("An experiment, a corpus or a YAML file; several compose, the last wins.")
        return parser

    def add_default_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Instead of `seed_everything` a seed that the data and the model follow too."""
        parser.add_argument(
            "--random_seed",
            type=int,
            default=1,
            help="Of the first weights, and of what data.random_seed and model.random_seed draw unless they differ.",
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        add_settings(parser)

    def _set_seed(self) -> None:  # of LightningCLI, whose setting has another name
        if self.config.random_seed not in range(2**32):
            raise FoldError(f"random_seed is {self.config.random_seed}: expected a number from 0 to {2**32 - 1}")
        lightning.seed_everything(self.config.random_seed, workers=True, verbose=False)

    def _dump_config(self) -> None:  # of LightningCLI, for save_hyperparameters, which neither model nor data call
        self.config_dump: dict[str, Any] = {}

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """As LightningCLI, but `--ckpt_path last` becomes a file, and a run's folder is not given to another."""
        super().parse_arguments(parser, args)
        if self.command == "fit":
            check_effective(self.config)
        elif self.config.ckpt_path is None:
            raise FoldError(f"`fold {self.command}` trains nothing: give --ckpt_path, the weights to evaluate")
        by_default = self.config.run_dir == f"runs/{self.config.experiment}/{os.environ[STAMP]}"
        if by_default and os.environ[STAMP] == run_folder.NO_STAMP:
            raise FoldError("give --run_dir: the processes of this run share no job that could name its folder")
        if self.config.ckpt_path == "last":
            newest = run_folder.newest_run(Path(self.config.run_dir).parent)
            if by_default and not self.named and newest:
                os.environ[STAMP] = newest.name  # processes launched from here go on with the same
                parser.set_defaults({"run_dir": str(newest)})
                super().parse_arguments(parser, args)
            self._find_last()
        elif self.command == "fit" and not self.goes_on:
            run_folder.check_unused(Path(self.config.checkpoint.dirpath))
        if self.goes_on:
            held = checkpoint.read(self.config.ckpt_path)
            self.held_settings = yaml.safe_load(held.get(CONFIG, "null"))
            wandb_run.resume(self.config.trainer.logger, held.get(WANDB_ID))
        self._settle_start()

    def _settle_start(self) -> None:
        """Decides where the first weights come from, and keeps it in the settings: what goes on has its own."""
        if self.command != "fit" and self.config.init_from is not None:
            raise FoldError(f"`fold {self.command}` trains nothing: init_from would do nothing; leave it out")
        if self.config.ckpt_path is not None:
            self.config.init_from = (self.held_settings or {}).get("init_from")
        elif self.config.init_from is not None:
            self.warm_start = WarmStart.of(self.config.init_from, Path(self.config.run_dir) / "init_from")
            self.config.init_from = self.warm_start.source

    def _find_last(self) -> None:
        folder = Path(self.config.checkpoint.dirpath)
        if self.command != "fit" or run_folder.has_checkpoint(folder):
            self.config.ckpt_path = str(newest_checkpoint(folder))
        else:
            rank_zero_only(print)(f"no checkpoint in {self.config.run_dir}: training starts from the beginning")
            self.config.ckpt_path = None

    @property
    def goes_on(self) -> bool:
        """Whether training goes on in the folder of its checkpoint."""
        if self.command != "fit" or self.config.ckpt_path is None:
            return False
        return Path(self.config.ckpt_path).resolve().parent == Path(self.config.checkpoint.dirpath).resolve()

    def before_instantiate_classes(self) -> None:
        accelerators.check_gpu(self.config.trainer.accelerator)
        accelerators.check_port(os.environ)
        if self.config.trainer.precision is None and not self.config.trainer.plugins:  # one of which may be a precision
            self.config.trainer.precision = default_precision(str(self.config.trainer.accelerator))

    def instantiate_trainer(self, **kwargs: Any) -> lightning.Trainer:
        settings = run_settings(self.parser, self.config)
        if self.held_settings is not None:
            changeable = self.model.network.CHANGEABLE
            run_folder.check_same_run(
                self.config.run_dir, self.held_settings, settings, changeable, self.config.allow_changes
            )
        bars = [StepProgress()] if self.config.trainer.enable_progress_bar is not False else []
        wandb_run.set_up(self.config.trainer.logger, self.config.offline)
        kept = RunSettings(settings)
        always = [*bars, Narration(), kept, EndTogether(), TrainingTime(), Throughput()]
        self.trainer_defaults = {**self.trainer_defaults, "callbacks": always}
        trainer = super().instantiate_trainer(plugins=self._plugins(), **kwargs)
        accelerators.check_kernels(trainer.strategy.root_device)
        check_precision(trainer)
        if self.command == "fit":
            check_length(trainer)
        count_in_updates(trainer, self.datamodule)
        return trainer

    def _plugins(self) -> list[Any]:
        """The user's plugins, and safe checkpoints unless one of these writes them."""
        given = self.config_init.trainer.plugins or []
        plugins = given if isinstance(given, list) else [given]
        writes = any(isinstance(plugin, CheckpointIO) for plugin in plugins)
        return plugins if writes else [*plugins, SafeCheckpointIO()]


def default_precision(accelerator: str) -> str:
    """Lightning's name of the precision that suits an accelerator, named as for its trainer."""
    device = torch.device("cpu") if accelerator == "cpu" else choose_device(None)
    return {"fp32": "32-true", "bf16": "bf16-mixed"}[choose_precision(device)]


def build(command: str, options: list[str]) -> FoldCLI:
    """Trainer, module and data of a command, instantiated."""
    import_offered()
    for message in HARMLESS_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    return FoldCLI(
        command,
        run_folder.stamp_run(),
        args=options,
        run=False,  # without LightningCLI's subcommands, ${...} means the same in files, defaults and overrides
        save_config_callback=SaveRunConfig,
        save_config_kwargs={"save_to_log_dir": False},
        trainer_defaults=TRAINER_DEFAULTS,
        auto_configure_optimizers=False,  # those of the model are its own settings
        parser_kwargs={"parser_mode": "omegaconf+", "prog": f"fold {command}", "description": COMMANDS[command][1]},
    )


def run(command: str, options: list[str]) -> None:
    """Runs `fit`, `validate`, `test` or `predict`."""
    with whole_lines():
        _run(command, options)


def _run(command: str, options: list[str]) -> None:
    with refusals_in_one_line():
        cli = build(command, options)
    writes = command == "fit" and cli.trainer.is_global_zero
    try:
        held = run_folder.held(Path(cli.config.run_dir)) if writes else nullcontext()
        with handlers_restored(), held, refusals_in_one_line():
            _execute(cli, command)
    except Ended:
        if cli.trainer.is_global_zero:
            raise
        raise SystemExit(2) from None  # all ranks end alike, and one says so
    except RuntimeError as error:
        if cli.trainer.world_size == 1 or "closed by peer" not in str(error):
            raise
        raise FoldError("another rank failed; its error is above") from None
    finally:
        end_workers()
    offline = wandb_run.finish()
    if cli.trainer.is_global_zero:
        closing(cli.trainer, command, Path(cli.config.run_dir), Path(cli.config.checkpoint.dirpath) / LAST, offline)


def _execute(cli: FoldCLI, command: str) -> None:
    cli.model.from_checkpoint = cli.config.ckpt_path is not None
    cli.model.warm_start = cli.warm_start
    if cli.warm_start and not cli.warm_start.is_remote:
        cli.warm_start.check(cli.model.network)  # before a corpus is prepared
    getattr(cli.trainer, command)(
        cli.model, datamodule=cli.datamodule, ckpt_path=cli.config.ckpt_path, weights_only=True
    )
    if command == "fit":  # one command shows the result: every depth, with the weights that training ended with
        last = Path(cli.config.checkpoint.dirpath) / LAST
        if last.exists():  # resumed at its very end, training changes nothing, and the averages are only in the file
            cli.model.model.load_state_dict(checkpoint.load(last)[0].state_dict())
        cli.trainer.test(cli.model, datamodule=cli.datamodule, verbose=False)


fit, validate, test, predict = (partial(run, command) for command in ("fit", "validate", "test", "predict"))

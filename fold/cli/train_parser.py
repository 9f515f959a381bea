"""The settings of `fold fit|validate|test|predict`: those of fold, and those of Lightning's trainer."""

from __future__ import annotations

import os
from typing import Any

from lightning.pytorch.cli import LightningArgumentParser

from fold.cli.parser import OneLineErrors
from fold.training.callbacks import BadData, DepthSweep, RunCheckpoint, TranscriptWriter
from fold.training.run_folder import STAMP

COMMON = (  # settings of the trainer that the short help tells of
    *("accelerator", "devices", "num_nodes", "strategy", "precision", "max_steps", "max_time", "val_check_interval"),
    *("check_val_every_n_epoch", "limit_val_batches", "gradient_clip_val", "callbacks", "logger"),
    *("enable_progress_bar",),
)
HIDDEN = (  # filled from run_dir and experiment, or rarely needed
    *("sweep.folder", "sweep.experiment", "transcripts.folder"),
    *("print_config", "data.cache", "data.cache_gigabytes"),
)

TRAINER_DEFAULTS: dict[str, Any] = {
    "logger": [
        {
            "class_path": "fold.training.wandb_logger.SteadyWandbLogger",
            "init_args": {
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
    "enable_model_summary": False,  # one line says what is trained
}


class Parser(OneLineErrors, LightningArgumentParser):
    """LightningCLI's parser with one-line errors and a short help."""

    def shown(self, name: str) -> bool:
        group, _, setting = name.partition(".")
        if group == "trainer":
            return setting in COMMON
        if group == "checkpoint":
            return setting in ("every_minutes", "monitor", "save_top_k")
        return name not in HIDDEN


def add_settings(parser: LightningArgumentParser) -> None:
    """Adds what the trainer, the model and the data do not know of."""
    parser.add_argument("--experiment", type=str, default="unnamed", help="Names the run's folder and group.")
    run_dir = f"runs/${{experiment}}/{os.environ[STAMP]}"
    parser.add_argument("--run_dir", type=str, default=run_dir, help="Where all files of the run go.")
    parser.add_argument(
        "--offline",
        type=bool,
        default=os.environ.get("WANDB_MODE") != "online",
        help="Keep the W&B run on disk; false uploads it, as WANDB_MODE=online does.",
    )
    parser.add_argument(
        "--ckpt_path",
        type=str,
        default=None,
        help="Checkpoint to go on from or evaluate; 'last': that of run_dir, of the job, or of the newest run.",
    )
    parser.add_argument(
        "--init_from",
        type=str,
        default=None,
        help="A new run starts from the weights of another: its checkpoint (a file or URL) or folder.",
    )
    parser.add_argument(
        "--allow_changes",
        type=bool,
        default=False,
        help="Go on in a run's folder with another random seed, corpus, model or objective.",
    )
    parser.add_lightning_class_args(DepthSweep, "sweep")
    parser.add_lightning_class_args(TranscriptWriter, "transcripts")
    parser.add_lightning_class_args(RunCheckpoint, "checkpoint")
    parser.add_lightning_class_args(BadData, "bad_data")
    parser.set_defaults(
        {
            "model.sampler": {"class_path": "fold.sampling.DepthFirst"},
            "data.random_seed": "${random_seed}",
            "model.random_seed": "${random_seed}",
            "sweep.folder": "${run_dir}",
            "sweep.experiment": "${experiment}",
            "transcripts.folder": "${run_dir}",
            "checkpoint.dirpath": "${run_dir}/checkpoints",
            "checkpoint.filename": "best",
            "checkpoint.monitor": "val/wer/mean",
            "checkpoint.enable_version_counter": False,
        }
    )

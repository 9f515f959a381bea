"""`fold sweep`: WER per depth of a checkpoint."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from fold.cli.parser import OneLineErrors
from fold.data.cache import ShardCache
from fold.data.faults import FaultPolicy
from fold.decoding.decode import Decoding
from fold.evaluation.checkpoint import Evaluation, Split, evaluate
from fold.precision import Precision
from fold.report.budget import Budget, advice
from fold.report.figure import plot_sweep
from fold.report.record import write_record
from fold.report.sweep import write_sweep
from fold.report.table import sweep_table


def run(arguments: list[str]) -> None:
    """Parses the arguments of `sweep_checkpoint` and calls it."""
    parser = OneLineErrors(prog="fold sweep", description="WER per depth of a checkpoint.")
    parser.add_function_arguments(sweep_checkpoint)
    sweep_checkpoint(**parser.instantiate(parser.parse_args(arguments)))


def sweep_checkpoint(
    ckpt_path: str,
    split: Split = "test",
    subsets: list[str] | None = None,
    shards: str | None = None,
    cache: str = "shards/cache",
    cache_gigabytes: float = 50.0,
    output: str | None = None,
    depths: list[int] | None = None,
    max_repeats: int | None = None,
    paths_per_depth: int = 8,
    batch_seconds: float = 120.0,
    decoding: Decoding | None = None,
    bad_data: FaultPolicy = FaultPolicy(),
    budget: Budget = Budget(),
    device: str | None = None,
    precision: Precision = "auto",
) -> None:
    """Evaluates a checkpoint at every depth and writes depth_sweep.csv, depth_sweep.json and depth_sweep.png.

    Args:
        ckpt_path: a checkpoint of `fold fit`.
        split: of the corpus.
        subsets: of the split, to be evaluated; by default all.
        shards: a prepared corpus, folder or URL; by default the one the model was trained on.
        cache: folder for copies of the shards of a URL.
        cache_gigabytes: what they may fill of the disk.
        output: folder for the results; by default sweep-<split> (or sweep-<subsets>) beside the checkpoint's folder.
        depths: depths to evaluate; by default all.
        max_repeats: most calls of a layer, perhaps more than in training; by default those of training.
        paths_per_depth: paths sampled of each depth besides the canonical one, for greedy decoding.
        batch_seconds: padded audio in a batch.
        decoding: how transcripts of canonical paths are found; by default as in the test of its training.
        bad_data: what utterances that cannot be used do.
        budget: what a depth may cost; the one to use, for all subsets together, is named.
        device: cpu, cuda, ...; by default an accelerator if there is one.
        precision: fp32 or bf16; by default bf16 on a GPU that computes in it.
    """
    evaluation = Evaluation(
        split, subsets, depths, max_repeats, paths_per_depth, batch_seconds, decoding, bad_data, device, precision
    )
    record = evaluate(ckpt_path, evaluation, shards, ShardCache(Path(cache), round(cache_gigabytes * 1e9)))
    name = "-".join(["sweep", *(subsets or [split])])
    folder = Path(output) if output else Path(ckpt_path).parent.parent / name
    write_sweep(record.rows, folder / "depth_sweep.csv")
    write_record(record, folder / "depth_sweep.json")
    title = f"{record.corpus} {split}: WER by executed depth"
    plot_sweep(record.rows, folder / "depth_sweep.png", title)
    Console().print(sweep_table(record.rows, title))
    if budget:
        print(advice(record.pooled(), budget))
    print(f"sweep: {folder}")

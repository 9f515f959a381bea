"""`fold sweep`: WER per depth of a checkpoint."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import yaml
from rich.console import Console
from torch.utils.data import DataLoader
from tqdm import tqdm

from fold import checkpoint
from fold.cli.decoding import trained_decoding
from fold.cli.device import choose_device
from fold.cli.parser import OneLineErrors
from fold.data.cache import ShardCache
from fold.data.faults import FaultCounts, FaultPolicy, watched
from fold.data.location import Location
from fold.data.plans import EvalPlan
from fold.data.stream import ShardedSpeech
from fold.decoding.decode import Decoding
from fold.errors import FoldError
from fold.evaluation import Transcripts, make_record, real_time_factors, sweep, sweep_rows, sweep_trials
from fold.metrics import ErrorCounts
from fold.paths import PathSpace
from fold.precision import Precision, computing_in
from fold.report.budget import Budget, advice
from fold.report.figure import plot_sweep
from fold.report.record import Record, Training, write_record
from fold.report.sweep import write_sweep
from fold.report.table import sweep_table

Split = Literal["train", "dev", "test"]


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
        precision: fp32 or bf16; by default bf16 where the device computes much faster in it.
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


@dataclass(frozen=True)
class Evaluation:
    """What of a checkpoint is evaluated, and how; fields as the arguments of `sweep_checkpoint`."""

    split: Split = "test"
    subsets: Sequence[str] | None = None
    depths: Sequence[int] | None = None
    max_repeats: int | None = None
    paths_per_depth: int = 8
    batch_seconds: float = 120.0
    decoding: Decoding | None = None
    bad_data: FaultPolicy = FaultPolicy()
    device: str | None = None
    precision: Precision = "auto"


def evaluate(ckpt_path: str | Path, evaluation: Evaluation, shards: str | None, cache: ShardCache) -> Record:
    """The record of a checkpoint's evaluation; shards: as of `sweep_checkpoint`; cache: of the shards of a URL."""
    target = choose_device(evaluation.device)
    with computing_in(target, evaluation.precision):
        return _evaluate(ckpt_path, evaluation, shards, cache, target)


def _evaluate(
    ckpt_path: str | Path, evaluation: Evaluation, shards: str | None, cache: ShardCache, target: torch.device
) -> Record:
    content = checkpoint.read(ckpt_path)
    model, description = checkpoint.restore(content, ckpt_path)
    if evaluation.max_repeats is not None:
        space = PathSpace(description.space.num_layers, evaluation.max_repeats)
        description = dataclasses.replace(description, space=space)
    location = Location.of(shards or description.shards, cache)
    index = location.index()
    if index.sample_rate != description.sample_rate:
        raise FoldError(f"{location}: {index.sample_rate} Hz, but the model takes {description.sample_rate} Hz")
    split, decoding = index.splits[evaluation.split], evaluation.decoding or trained_decoding(content, ckpt_path)
    decoding.check(model)
    subsets = tuple(dict.fromkeys(evaluation.subsets or split.subsets))
    data, chosen = ShardedSpeech(location, split, index.sample_rate, description.units), split.shards_of(subsets)
    plan = EvalPlan(data.lengths(), chosen, round(evaluation.batch_seconds * index.sample_rate))
    space, model = description.space, model.to(target)
    trials = sweep_trials(space, evaluation.depths or space.depths, evaluation.paths_per_depth, decoding)

    faults, transcripts = FaultCounts(), Transcripts(space, trials)
    utterances = sum(split.shards[number].utterances for number in chosen)
    with tqdm(total=utterances, unit=" utterances", desc=f"{len({t.path for t in trials})} paths") as bar:
        loader = DataLoader(data, sampler=plan, batch_size=None, collate_fn=lambda batch: batch)
        batches = watched(loader, evaluation.bad_data, utterances, faults)
        for counts in sweep(model, description.units, batches, trials, target, subsets, transcripts):
            deepest = sum((of_paths[-1] for of_paths in counts.values()), ErrorCounts())
            bar.update(deepest.sentences - bar.n)
            bar.set_postfix({"wer": f"{deepest.wer:.2f}"})
    if faults:
        print(faults.summary(evaluation.split))

    settings, took = yaml.safe_load(content.get(checkpoint.CONFIG, "{}")), content.get(checkpoint.TRAINING)
    return make_record(
        model,
        sweep_rows(space, trials, counts, model.num_parameters()),
        transcripts,
        real_time_factors(model, description, transcripts.timed, decoding),
        name=settings.get("experiment", Path(ckpt_path).stem),
        corpus=index.corpus["class"],
        split=evaluation.split,
        training=took and Training(**took),
        settings=settings,
        decoding=decoding,
    )

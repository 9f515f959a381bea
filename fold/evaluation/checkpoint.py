"""A checkpoint evaluated on a split of a prepared corpus."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import yaml
from torch.utils.data import DataLoader
from tqdm import tqdm

from fold import checkpoint
from fold.data.batching import as_it_is
from fold.data.cache import ShardCache
from fold.data.faults import FaultCounts, FaultPolicy, watched
from fold.data.location import Location
from fold.data.plans import EvalPlan
from fold.data.stream import ShardedSpeech
from fold.decoding.decode import Decoding, Trial
from fold.decoding.trained import trained_decoding
from fold.device import choose_device
from fold.errors import FoldError
from fold.evaluation.macs import macs_per_second
from fold.evaluation.sweep import Transcripts, make_record, real_time_factors, sweep, sweep_rows, sweep_trials
from fold.metrics import ErrorCounts
from fold.paths import PathSpace
from fold.precision import Precision, computing_in
from fold.report.record import Record, Training

Split = Literal["train", "dev", "test"]


@dataclass(frozen=True)
class Evaluation:
    """What of a model is evaluated, and how.

    split, subsets: of the corpus, None for all subsets; depths: None for all; max_repeats: most calls of a layer, None
    for those of training; paths_per_depth: besides the canonical one, for greedy decoding; batch_seconds: padded audio
    in a batch; decoding: of canonical paths, None for that of the test after training; bad_data: what utterances that
    cannot be used do; device: None for an accelerator if there is one; precision: of the computation.
    """

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

    def trials(self, space: PathSpace, decoding: Decoding) -> list[Trial]:
        """The paths to evaluate and how each is decoded; decoding: of canonical paths."""
        return sweep_trials(space, self.depths or space.depths, self.paths_per_depth, decoding)


def evaluate(ckpt_path: str | Path, evaluation: Evaluation, shards: str | None, cache: ShardCache) -> Record:
    """The record of a checkpoint's evaluation.

    shards: a prepared corpus, None for that of its training; cache: of the shards of a URL.
    Raises FoldError for a checkpoint, corpus or setting that cannot be used.
    """
    target = choose_device(evaluation.device)
    with computing_in(target, evaluation.precision):
        return _evaluate(ckpt_path, evaluation, shards, cache, target)


def _evaluate(
    ckpt_path: str | Path, evaluation: Evaluation, shards: str | None, cache: ShardCache, target: torch.device
) -> Record:
    content = checkpoint.read(ckpt_path)
    model, description = checkpoint.restore(content, ckpt_path)
    if evaluation.max_repeats is not None:
        space = dataclasses.replace(description.space, max_repeats=evaluation.max_repeats, max_depth=None)
        description = dataclasses.replace(description, space=space)
    location = Location.of(shards or description.shards, cache)
    index = location.index()
    if index.sample_rate != description.sample_rate:
        raise FoldError(f"{location}: {index.sample_rate} Hz, but the model takes {description.sample_rate} Hz")
    split, decoding = index.splits[evaluation.split], evaluation.decoding or trained_decoding(content, ckpt_path)
    decoding.check(model, description.units)
    subsets = tuple(dict.fromkeys(evaluation.subsets or split.subsets))
    data, chosen = ShardedSpeech(location, split, index.sample_rate, description.units), split.shards_of(subsets)
    plan = EvalPlan(data.lengths(), chosen, round(evaluation.batch_seconds * index.sample_rate))
    space, model = description.space, model.to(target)
    trials = evaluation.trials(space, decoding)

    faults, transcripts = FaultCounts(), Transcripts(space, trials)
    utterances = sum(split.shards[number].utterances for number in chosen)
    with tqdm(total=utterances, unit=" utterances", desc=f"{len({t.path for t in trials})} paths") as bar:
        loader = DataLoader(data, sampler=plan, batch_size=None, collate_fn=as_it_is)
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
        macs=macs_per_second(model, description),
        name=settings.get("experiment", Path(ckpt_path).stem),
        corpus=index.corpus["class"],
        split=evaluation.split,
        training=took and Training(**took),
        settings=settings,
        decoding=decoding,
    )

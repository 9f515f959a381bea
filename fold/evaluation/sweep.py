"""WER per path: which paths a sweep runs, what their error counts say, and how long each takes."""

from __future__ import annotations

import dataclasses
import platform
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import torch
from torch import Tensor
from torch import device as Device

from fold.checkpoint import Description
from fold.data.batching import Batch
from fold.decoding.decode import Decoding, Trial, transcribe
from fold.evaluation.size import int8_bytes, stored_bytes
from fold.metrics import ErrorCounts, PathErrors
from fold.models import Recogniser
from fold.paths import Path, PathSpace
from fold.report.record import RealTime, Record, Training
from fold.report.sweep import SweepRow, by_subset
from fold.text.units import Units
from fold.timing import Timed, in_turns

TIMED_UTTERANCES = 8
REDUCED = {torch.bfloat16: "bf16", torch.float16: "fp16"}


def sweep_paths(space: PathSpace, depths: Iterable[int], paths_per_depth: int, seed: int = 0) -> list[Path]:
    """The canonical path of each depth and up to `paths_per_depth` others, drawn without replacement.

    The draw depends only on (seed, depth). Paths of a depth stand together, the canonical one first.
    """
    chosen: list[Path] = []
    for depth in depths:
        canonical = space.canonical(depth)
        drawn = space.sample(depth, paths_per_depth + 1, random.Random(f"fold sweep {seed} {depth}"))
        others = [path for path in drawn if path != canonical][:paths_per_depth]
        chosen += [canonical, *sorted(others)]
    return chosen


def sweep_trials(space: PathSpace, depths: Sequence[int], paths_per_depth: int, decoding: Decoding) -> list[Trial]:
    """What a sweep evaluates: all of `sweep_paths` greedily, so that paths compare; then, if `decoding` is a search,
    the canonical ones by it besides. Searching along all would take long."""
    trials = [Trial(path) for path in sweep_paths(space, depths, paths_per_depth)]
    if decoding.method == "greedy":
        return trials
    return trials + [Trial(space.canonical(depth), decoding) for depth in depths]


def sweep_rows(
    space: PathSpace, trials: Sequence[Trial], counts: Mapping[str, Sequence[ErrorCounts]], num_params: int
) -> list[SweepRow]:
    """One row per subset and trial; counts: of `PathErrors`."""
    return [
        SweepRow.from_counts(
            depth=trial.path.depth,
            path=str(trial.path),
            canonical=trial.path == space.canonical(trial.path.depth),
            num_params=num_params,
            counts=errors,
            subset=subset,
            decoding=str(trial.decoding),
        )
        for subset, of_trials in counts.items()
        for trial, errors in zip(trials, of_trials, strict=True)
    ]


class Transcripts:
    """What was said and what canonical paths made of it, those of two trials in the second.

    references: text by utterance id; subset_of: subset by utterance id; errors: by path, the hypotheses that differ
    from their reference, by id;
    timed: the first utterances, (samples,) each, on the CPU, for `real_time_factors`.
    """

    def __init__(self, space: PathSpace, trials: Sequence[Trial]) -> None:
        paths = [trial.path for trial in trials]
        self.canonical = {str(path): i for i, path in enumerate(paths) if path == space.canonical(path.depth)}
        self.references: dict[str, str] = {}
        self.subset_of: dict[str, str] = {}
        self.errors: dict[str, dict[str, str]] = {path: {} for path in self.canonical}
        self.timed: list[Tensor] = []

    def add(self, batch: Batch, transcripts: Sequence[Sequence[str]]) -> None:
        """transcripts: one per trial and utterance."""
        references = dict(zip(batch.ids, map(one_spaced, batch.texts), strict=True))
        self.references.update(references)
        self.subset_of.update(zip(batch.ids, batch.subsets, strict=True))
        for path, index in self.canonical.items():
            hypotheses = zip(batch.ids, map(one_spaced, transcripts[index]), strict=True)
            self.errors[path].update({id: text for id, text in hypotheses if text != references[id]})
        wanted = min(TIMED_UTTERANCES - len(self.timed), len(batch.ids))  # a batch may be padded with empty rows
        for waveform, length in zip(batch.waveforms[:wanted], batch.num_samples[:wanted], strict=True):
            self.timed.append(waveform[:length].to("cpu", copy=True))

    def share(self) -> tuple[dict[str, str], dict[str, str], dict[str, dict[str, str]]]:
        """What other processes `merge`."""
        return self.references, self.subset_of, self.errors

    def merge(self, references: dict[str, str], subset_of: dict[str, str], errors: dict[str, dict[str, str]]) -> None:
        """Takes in what another process evaluated."""
        self.references.update(references)
        self.subset_of.update(subset_of)
        for path, texts in errors.items():
            self.errors[path].update(texts)

    def utterances(self, subsets: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Ids of each subset."""
        return {subset: tuple(id for id, of in self.subset_of.items() if of == subset) for subset in subsets}


def one_spaced(text: str) -> str:
    """The words of a text with one space between them."""
    return " ".join(text.split())


def sweep(
    model: Recogniser,
    units: Units,
    batches: Iterable[Batch],
    trials: Sequence[Trial],
    device: Device,
    subsets: Sequence[str],
    transcripts: Transcripts | None = None,
) -> Iterator[dict[str, list[ErrorCounts]]]:
    """Evaluates `trials` together; after each batch yields the errors of each so far, by subset. What was said goes
    into `transcripts`. subsets: names of those that the batches are of."""
    errors = PathErrors(subsets, len(trials))
    for batch in batches:
        found = transcribe(model, units, batch.waveforms.to(device), batch.num_samples, trials)
        found = [texts[: len(batch.texts)] for texts in found]
        for index, texts in enumerate(found):
            errors.update(index, batch.texts, texts, batch.subsets)
        if transcripts is not None:
            transcripts.add(batch, found)
        yield errors.compute()


def real_time_factors(
    model: Recogniser, description: Description, utterances: Sequence[Tensor], decoding: Decoding
) -> dict[str, RealTime]:
    """How long the canonical path of each depth takes, by path, depths in turns.

    utterances: (samples,) each, on the CPU.
    """
    paths = [description.space.canonical(depth) for depth in description.space.depths]
    timed = [Timed(model, description.units, description.sample_rate, path, decoding) for path in paths]
    return dict(zip(map(str, paths), in_turns(timed, utterances), strict=False))


def make_record(
    model: Recogniser,
    rows: Sequence[SweepRow],
    transcripts: Transcripts,
    factors: Mapping[str, RealTime],
    *,
    macs: Mapping[str, float],
    name: str,
    corpus: str,
    split: str,
    training: Training | None,
    settings: Mapping[str, Any],
    decoding: Decoding,
) -> Record:
    """The record of a sweep (see `fold.report.record.Record` for what each is); factors: of `real_time_factors`;
    macs: of `macs_per_second`."""
    subsets = by_subset(rows)
    return Record(
        name=name,
        corpus=corpus,
        split=split,
        num_layers=len(model.unfolding.layers),
        num_params=model.num_parameters(),
        stored_bytes=stored_bytes(model),
        int8_bytes=int8_bytes(model),
        rows=tuple(rows),
        references=transcripts.references,
        errors=transcripts.errors,
        real_time_factors={path: factor.median for path, factor in factors.items()},
        real_time_spread={path: (factor.low, factor.high) for path, factor in factors.items()},
        macs=macs,
        device=device_name(next(model.parameters()).device),
        training=training,
        settings=settings,
        date=date.today().isoformat(),
        decoding=dataclasses.asdict(decoding),
        utterances=transcripts.utterances(subsets) if len(subsets) > 1 else {},
    )


def device_name(device: Device) -> str:
    """What times are measured on, and in which precision unless that is fp32."""
    name = device.type
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    elif device.type == "cpu":
        name = f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
    reduced = torch.is_autocast_enabled(device.type) and torch.get_autocast_dtype(device.type)
    return f"{name}, {REDUCED[reduced]}" if reduced else name

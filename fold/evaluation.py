"""WER per path: which paths a sweep runs, and what their error counts say."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence

from torch import device as Device

from fold.data.batching import Batch
from fold.data.units import Units
from fold.decoding.decode import Decoding, transcribe
from fold.metrics import ErrorCounts, PathErrors
from fold.models import Recogniser
from fold.paths import Path, PathSpace
from fold.report.sweep import SweepRow


def sweep_paths(space: PathSpace, depths: Iterable[int], paths_per_depth: int, seed: int = 0) -> list[Path]:
    """The canonical path of each depth and up to `paths_per_depth` others, drawn without replacement.

    The draw depends on (seed, depth) alone. Paths of a depth stand together, the canonical one first.
    """
    chosen: list[Path] = []
    for depth in depths:
        canonical = space.canonical(depth)
        drawn = space.sample(depth, paths_per_depth + 1, random.Random(f"fold sweep {seed} {depth}"))
        others = [path for path in drawn if path != canonical][:paths_per_depth]
        chosen += [canonical, *sorted(others)]
    return chosen


def sweep_rows(
    space: PathSpace, paths: Sequence[Path], counts: Sequence[ErrorCounts], num_params: int
) -> list[SweepRow]:
    """One row a path."""
    return [
        SweepRow.from_counts(path.depth, str(path), path == space.canonical(path.depth), num_params, errors)
        for path, errors in zip(paths, counts, strict=True)
    ]


def sweep(
    model: Recogniser,
    units: Units,
    batches: Iterable[Batch],
    paths: Sequence[Path],
    decoding: Decoding,
    device: Device,
) -> Iterator[list[ErrorCounts]]:
    """Evaluates `paths` together; after each batch yields the errors of each path so far."""
    errors = PathErrors(len(paths))
    for batch in batches:
        waveforms, num_samples = batch.waveforms.to(device), batch.num_samples.to(device)
        for index, transcripts in enumerate(transcribe(model, units, waveforms, num_samples, paths, decoding)):
            errors.update(index, batch.texts, transcripts[: len(batch.texts)])
        yield errors.compute()

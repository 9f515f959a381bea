"""Times of several runs that compare: their checkpoints take turns on the same recordings."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from fold import checkpoint
from fold.data.lookup import find_recordings
from fold.decoding.decode import Decoding
from fold.device import choose_device
from fold.errors import FoldError
from fold.evaluation.sweep import TIMED_UTTERANCES, device_name
from fold.paths import Path as LayerPath
from fold.precision import computing_in
from fold.report.record import Record
from fold.timing import Timed, in_turns
from fold.training.checkpoint_io import LAST

SESSION = "compared"  # the name of the one in which the runs of a comparison are timed


def timed_in_turns(
    records: Sequence[Record], runs: Sequence[Path], shards: str | None, device: str | None
) -> list[Record]:
    """The records with times that are measured now, all in turns.

    Args:
        records: of evaluations on one test set.
        runs: run folder or checkpoint of each.
        shards: where prepared corpora lie, of which recordings are taken; by default where the first run had them.
        device: to time on; by default an accelerator if there is one.

    Raises:
        FoldError: a run has no checkpoint, no recording of the test set is found, or sample rates differ.
    """
    target = choose_device(device)
    with computing_in(target):
        timed = [_timed(record, _checkpoint(run), target) for record, run in zip(records, runs, strict=True)]
        rates = {one.sample_rate for of_record in timed for one in of_record}
        recordings = recordings_of(records[0], sorted(records[0].references)[:TIMED_UTTERANCES], shards)
        if not recordings or rates != {rate for _, rate in recordings.values()}:
            raise FoldError(
                f"--time: no recording of the test set at {' and '.join(map(str, rates))} Hz is found; --shards=FOLDER "
                "says where prepared corpora lie"
            )
        waveforms = [torch.from_numpy(samples) for samples, _ in recordings.values()]
        times = iter(in_turns([one for of_record in timed for one in of_record], waveforms))
        name = device_name(target)
    measured = []
    for record, of_record in zip(records, timed, strict=True):
        factors = {str(one.path): next(times) for one in of_record}
        measured.append(
            dataclasses.replace(
                record,
                real_time_factors={path: factor.median for path, factor in factors.items()},
                real_time_spread={path: (factor.low, factor.high) for path, factor in factors.items()},
                session=SESSION,
                device=name,
            )
        )
    return measured


def recordings_of(record: Record, ids: Sequence[str], shards: str | None) -> dict[str, tuple[np.ndarray, int]]:
    """Those of the test set that can be found, with their sample rates. shards: as of `timed_in_turns`."""
    folder = Path(shards or record.settings.get("data", {}).get("shards", "shards"))
    return find_recordings(folder, record.corpus, record.split, ids)


def _timed(record: Record, file: Path, device: torch.device) -> list[Timed]:
    """Each canonical path of a record."""
    model, description = checkpoint.load(file)
    model, decoding = model.to(device), Decoding(**record.decoding)
    paths = dict.fromkeys(row.path for row in record.rows if row.canonical)
    return [Timed(model, description.units, description.sample_rate, LayerPath.parse(path), decoding) for path in paths]


def _checkpoint(run: Path) -> Path:
    file = run / "checkpoints" / LAST if run.is_dir() else run
    if file.suffix != ".ckpt" or not file.exists():
        raise FoldError(f"--time: {run} has no checkpoint to time; give a run folder or a checkpoint")
    return file

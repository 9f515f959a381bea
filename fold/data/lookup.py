"""Utterances of a prepared split by their ids."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from fold.data.batching import Example
from fold.data.faults import BadUtterance
from fold.data.index import Split
from fold.data.location import Location
from fold.data.plans import Reference
from fold.data.shards import hash_id
from fold.data.stream import ShardedSpeech
from fold.errors import FoldError
from fold.text.units import Units


def find_utterances(
    location: Location, split: Split, sample_rate: int, units: Units, ids: Collection[str]
) -> Iterator[Example]:
    """The utterances of a split that have these ids, where they can be read."""
    speech = ShardedSpeech(location, split, sample_rate, units)
    wanted = np.array([hash_id(id) for id in ids], dtype="<u8")
    for number in range(len(split.shards)):
        try:
            rows = speech.readers.sidecar(number)
        except (OSError, FoldError):
            continue
        for row in np.flatnonzero(np.isin(rows["id_hash"], wanted)).tolist():
            try:
                example = speech.read(Reference(number, row))
            except BadUtterance:
                continue
            if example.id in ids:
                yield example

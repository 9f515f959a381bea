"""Utterances of prepared corpora by their ids."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, cast

import numpy as np

from fold.data.batching import Example
from fold.data.cache import ShardCache
from fold.data.faults import BadUtterance
from fold.data.index import INDEX_FILE, Split, read_index
from fold.data.location import Location
from fold.data.plans import Reference
from fold.data.shards import hash_id
from fold.data.stream import ShardedSpeech
from fold.errors import FoldError
from fold.text.units import Units, units_from_dict


def transcripts_of(location: Location, split: Split) -> Iterator[str]:
    """Those of a split, as its shards have them, without reading the audio.

    Raises FoldError for a shard that cannot be read.
    """
    for shard in split.shards:
        try:
            with location.shard(shard) as stream, tarfile.open(fileobj=stream) as tar:
                for member in tar:
                    if member.name.endswith(".json"):
                        yield json.loads(cast(IO[bytes], tar.extractfile(member)).read())["text"]
        except (OSError, tarfile.TarError, ValueError, KeyError) as error:
            raise FoldError(f"{location}: {shard.file}: no shard of transcripts ({error})") from None


def find_recordings(folder: Path, corpus: str, split: str, ids: Collection[str]) -> dict[str, tuple[np.ndarray, int]]:
    """Samples, (num_samples,), and sample rate of the utterances of a corpus that can be found, by id.

    Args:
        folder: a prepared corpus, or a folder of several.
        corpus: full name of its class, as in its index.
        split: of the corpus.
        ids: of the utterances.
    """
    found: dict[str, tuple[np.ndarray, int]] = {}
    for file in sorted([*folder.glob(INDEX_FILE), *folder.glob(f"*/{INDEX_FILE}")]):
        try:
            index = read_index(file.parent)
        except FoldError:  # of another version, or half written: not ours to report
            continue
        missing = set(ids) - found.keys()
        if not missing or index.corpus["class"] != corpus or split not in index.splits:
            continue
        location, units = Location.of(str(file.parent), ShardCache(folder, 0)), units_from_dict(index.units)
        for example in find_utterances(location, index.splits[split], index.sample_rate, units, missing):
            found[example.id] = (example.waveform.numpy(), index.sample_rate)
    return found


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

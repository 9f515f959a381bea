"""Shards whose recordings lie in a tar of somebody else's: a small tar of transcripts, and a sidecar that points there.

The format is that of `fold.data.shards`, but for the recordings. A transcript's member also tells how its recording is
read, or why it cannot be.
"""

from __future__ import annotations

import io
import json
import tarfile
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fold.audio import Channel, read_stream
from fold.data.corpora.in_place import InPlace
from fold.data.index import Shard
from fold.data.shards import TAR_FORMAT, add_member, describe_shard, hash_id, write_sidecar
from fold.files import replacing

TOLERANCE = 1  # samples by which ways of resampling differ


class Pointer(NamedTuple):
    """How a recording is read. head: the first field of its member's header; channel: as of `read_audio`; fault: why
    it cannot be used, '' if it can."""

    head: str
    channel: Channel
    fault: str

    @classmethod
    def of(cls, value: Any) -> Pointer:
        """The pointer in a member's JSON. Raises TypeError or KeyError if it is none."""
        return cls(value["head"], value["channel"], value["fault"])


def write_pointers(path: Path, recipes: Sequence[InPlace], sample_rate: int) -> Shard:
    """Write a shard of recipes whose recordings lie in one tar; all or nothing, as `write_shard`."""
    rows = []
    with replacing(path) as stream, tarfile.open(fileobj=stream, mode="w", format=TAR_FORMAT) as tar:
        for recipe in recipes:
            num_samples = round(recipe.frames * sample_rate / recipe.sample_rate) if recipe.sample_rate else 0
            meta = {
                "id": recipe.id,
                "text": recipe.text,
                "speaker": recipe.speaker,
                "seconds": round(num_samples / sample_rate, 4),
                "recording": Pointer(recipe.head, recipe.channel, recipe.fault)._asdict(),
            }
            encoded = json.dumps(meta, ensure_ascii=False).encode()
            place = (recipe.offset, recipe.num_bytes, add_member(tar, f"{recipe.id}.json", encoded), len(encoded))
            rows.append((*place, zlib.crc32(encoded), num_samples, hash_id(recipe.id)))
    write_sidecar(path, rows)
    return describe_pointers(path, recipes, sample_rate)


def describe_pointers(path: Path, recipes: Sequence[InPlace], sample_rate: int) -> Shard:
    """Return the index entry of such a shard, from its files."""
    first = recipes[0]
    return replace(
        describe_shard(path, sample_rate),
        audio=first.place,
        audio_bytes=first.place_bytes,
        audio_sha256=first.place_sha256,
    )


def read_pointed(name: str, content: bytes, pointer: Pointer, sample_rate: int) -> np.ndarray:
    """Return a recording as mono samples at a rate in Hz: (num_samples,) float32.

    Raises:
        FoldError: it is no audio that can be used.
    """
    return read_stream(name, io.BytesIO(content), sample_rate, pointer.channel).samples

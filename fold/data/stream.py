"""Reads utterances out of shards: one seek and one decode an utterance, nothing unpickled."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soxr
import torch
from torch.utils.data import Dataset

from fold.data.batching import Batch, Example, Reference, collate
from fold.data.shards import Split, decode_flac, read_member, read_sidecar
from fold.data.units import Units


class ShardedSpeech(Dataset):
    """A prepared split as a data set of batches: indexed with a plan's item, it gives that batch.

    folder: the prepared corpus; split: its entry in the index; units: encodes the transcripts.
    """

    def __init__(self, folder: Path, split: Split, units: Units) -> None:
        self.files = [folder / shard.file for shard in split.shards]
        self.units = units
        self.rows = [read_sidecar(file) for file in self.files]

    def lengths(self, min_samples: float = 0, max_samples: float = math.inf) -> list[np.ndarray]:
        """Samples of each utterance, an array a shard; -1 for those shorter or longer than wanted."""
        lengths = [rows["num_samples"].astype(np.int64) for rows in self.rows]
        return [np.where((n < min_samples) | (n > max_samples), -1, n) for n in lengths]

    def __getitem__(self, references: Sequence[Reference]) -> Batch:
        return collate([self.read(reference) for reference in references])

    def read(self, reference: Reference) -> Example:
        """Decodes one utterance."""
        file, row = self.files[reference.shard], self.rows[reference.shard][reference.row]
        with file.open("rb") as stream:
            meta = json.loads(read_member(stream, int(row["meta_offset"]), int(row["meta_bytes"])))
            samples = decode_flac(read_member(stream, int(row["audio_offset"]), int(row["audio_bytes"])))
        if reference.speed != 1.0:
            samples = soxr.resample(samples, reference.speed, 1.0)  # played faster: shorter and higher
        units = torch.tensor(self.units.encode(meta["text"]), dtype=torch.long)
        return Example(meta["id"], meta["text"], torch.from_numpy(samples), units)

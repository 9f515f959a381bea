"""Reads utterances out of shards: one read and one decode an utterance, nothing trusted, nothing unpickled."""

from __future__ import annotations

import hashlib
import io
import math
import os
import tarfile
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import soxr
import torch
from torch.utils.data import Dataset

from fold.data.augment import Augmenter
from fold.data.batching import Batch, Example, Rounding, collate
from fold.data.faults import BadUtterance
from fold.data.index import Split
from fold.data.joining import Joiner
from fold.data.location import Location
from fold.data.model_input import FitsAudio
from fold.data.plans import Reference
from fold.data.pointers import TOLERANCE, Pointer, read_pointed
from fold.data.shards import load_sidecar
from fold.data.utterances import Check, check_samples, decode, member_name, parse_meta
from fold.errors import FoldError
from fold.text.units import Units
from fold.text.unknown import ALL_KNOWN, Unknown

OPEN_SHARDS = 32
OPEN_SIDECARS = 64


class ShardedSpeech(Dataset[Batch]):
    """A prepared split as a data set of batches: indexed with a plan's item, it gives that batch.

    location: of the prepared corpus; split: its entry in the index; sample_rate: in Hz; units: encodes the transcripts;
    fits: what a training utterance must satisfy besides (None: nothing; any transcript will do for evaluation);
    rounding: of the samples of a batch; joiner: joins utterances (None: leaves them apart); speeds: that utterances may
    be played at; augmenter: changes how they sound (None: leaves them as they are); unknown: how much of a training
    transcript may be.
    An utterance that does not fit at the speed planned for it is played at the next slower one of `speeds`. Utterances
    that cannot be used are left out of the batch and listed in its faults.
    """

    def __init__(
        self,
        location: Location,
        split: Split,
        sample_rate: int,
        units: Units,
        fits: FitsAudio | None = None,
        rounding: Rounding | None = None,
        joiner: Joiner | None = None,
        speeds: Sequence[float] = (),
        augmenter: Augmenter | None = None,
        unknown: Unknown = ALL_KNOWN,
    ) -> None:
        self.location = location
        self.split = split
        self.sample_rate = sample_rate
        self.units = units
        self.fits = fits
        self.rounding = rounding
        self.joiner = joiner
        self.speeds = speeds
        self.augmenter = augmenter
        self.unknown = unknown
        self._readers: Readers | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_readers": None}

    @property
    def readers(self) -> Readers:
        """Opened by each process for itself."""
        if self._readers is None:
            self._readers = Readers(self.location, self.split)
        return self._readers

    def lengths(self, max_samples: float = math.inf) -> Callable[[int], np.ndarray]:
        """A function that gives the samples of each utterance of a shard; -1 if longer than wanted.

        It raises FoldError, whatever the policy for bad data, if it cannot tell: ranks, and a run and its resumption,
        that planned with different durations would lose utterances or see them twice.
        """

        def read(shard: int) -> np.ndarray:
            try:
                n = self.readers.sidecar(shard)["num_samples"].astype(np.int64)
            except OSError as error:
                raise FoldError(f"{self.location}: batches cannot be planned: {error}") from error
            return np.where(n > max_samples, -1, n)

        return read

    def __getitem__(self, references: Sequence[Reference]) -> Batch:
        examples, faults = [], []
        for reference in references:
            try:
                examples.append(self.read(reference))
            except BadUtterance as error:
                faults.append(error.fault)
        return collate(self.joiner(examples) if self.joiner else examples, faults, self.rounding)

    def read(self, reference: Reference) -> Example:
        """Reads, checks and decodes one utterance. Raises BadUtterance if it cannot be used."""
        shard = self.split.shards[reference.shard]
        check = Check(shard.file, f"row {reference.row}")
        try:
            rows = self.readers.sidecar(reference.shard)
        except (OSError, FoldError) as error:
            check.fail("unreadable shard", str(error))
        row = rows[reference.row]
        heads, audio, meta = (self._pointed if shard.audio else self._members)(reference.shard, row, check)
        id, text, pointer = parse_meta(meta, row, check)
        check.id = id
        if pointer:
            check.that(not pointer.fault, "unusable recording", pointer.fault)
        text = self.units.written(text)
        check.that(bool(text), "no transcript", "nothing is left of it, as the units are written")
        first = int(np.argmax(rows["id_hash"] == row["id_hash"]))
        check.that(first == reference.row, "duplicate id", f"row {first} has it already")
        names = (pointer.head.encode("latin-1") if pointer else f"{id}.flac".encode(), f"{id}.json".encode())
        for head, name in zip(heads, names, strict=True):
            check.that(head == name, "unexpected member", f"found {head!r}")
        samples = self._decoded(audio, int(row["num_samples"]), pointer, check)
        units = self.units.encode(text)
        if self.fits is not None:
            detail = f"{units.count(self.units.unk)} of the {len(units)} units of transcript '{text}'"
            detail = "; ".join(filter(None, (detail, self.unknown.advice)))
            check.that(self.unknown.allows(units, self.units.unk), "unknown symbol", detail)
        samples = self._heard(self._played(samples, reference.speed, units, check), reference.epoch, check)
        encoded = torch.from_numpy(np.array(units, dtype=np.int64))
        return Example(id, text, torch.from_numpy(samples), encoded, shard.subset)

    def _played(self, samples: np.ndarray, speed: float, units: Sequence[int], check: Check) -> np.ndarray:
        """The samples at the speed, or else at the fastest slower one of `speeds` at which the transcript fits."""
        for tried in (speed, *sorted((slower for slower in self.speeds if slower < speed), reverse=True)):
            played = change_speed(samples, tried)
            if self.fits is None or self.fits(units, len(played)):
                return played
        check.fail("transcript too long", f"{len(units)} units in {len(samples) / self.sample_rate:.2f} s")

    def _heard(self, samples: np.ndarray, epoch: int, check: Check) -> np.ndarray:
        """The samples as they are heard in an epoch."""
        try:
            return self.augmenter(samples, epoch, check.id) if self.augmenter else samples
        except FoldError as error:
            check.fail("unusable noise or room", str(error))

    def _members(self, shard: int, row: np.void, check: Check) -> tuple[list[bytes], bytes, bytes]:
        """Names and contents of an utterance's two members, in one read."""
        audio, meta = int(row["audio_offset"]), int(row["meta_offset"])
        start, end = audio - tarfile.BLOCKSIZE, meta + int(row["meta_bytes"])
        content = read_bytes(self.readers.shard, shard, start, end, check)
        names = [member_name(content, place - start) for place in (audio, meta)]
        return names, content[audio - start : audio - start + int(row["audio_bytes"])], content[meta - start :]

    def _pointed(self, shard: int, row: np.void, check: Check) -> tuple[list[bytes], bytes, bytes]:
        """The same, where the recording lies in another tar."""
        names, contents = [], []
        for kind, open_file in (("audio", self.readers.audio), ("meta", self.readers.shard)):
            start, size = int(row[f"{kind}_offset"]) - tarfile.BLOCKSIZE, int(row[f"{kind}_bytes"])
            there = start > 0 or size > 0  # else the sample has no recording
            content = read_bytes(open_file, shard, start, start + tarfile.BLOCKSIZE + size, check) if there else b""
            names.append(member_name(content, tarfile.BLOCKSIZE))
            contents.append(content[tarfile.BLOCKSIZE :])
        return names, contents[0], contents[1]

    def _decoded(self, audio: bytes, num_samples: int, pointer: Pointer | None, check: Check) -> np.ndarray:
        if pointer is None:
            return decode(audio, self.sample_rate, num_samples, check)
        try:
            samples = read_pointed("recording", audio, pointer, self.sample_rate)
        except FoldError as error:
            check.fail("undecodable audio", str(error))
        off = abs(len(samples) - num_samples)
        check.that(off <= TOLERANCE, "wrong duration", f"{len(samples)} samples, expected {num_samples}")
        check_samples(samples, check)
        return samples


class Readers:
    """The sidecars and shards in use, the least recently used closed first."""

    def __init__(self, location: Location, split: Split) -> None:
        self.location = location
        self.split = split
        self.sidecar = lru_cache(OPEN_SIDECARS)(self._sidecar)
        self._open = lru_cache(OPEN_SHARDS)(lambda number: location.shard(split.shards[number]))
        self._open_audio = lru_cache(OPEN_SHARDS)(lambda number: location.audio(split.shards[number]))

    def shard(self, number: int) -> int:
        """Descriptor of an open shard."""
        return self._open(number).fileno()

    def audio(self, number: int) -> int:
        """Descriptor of the open tar in which the recordings of a shard lie."""
        return self._open_audio(number).fileno()

    def _sidecar(self, number: int) -> np.ndarray:
        """Rows of a sidecar, which are those that were written."""
        shard = self.split.shards[number]
        with self.location.sidecar(shard) as stream:
            content, name = stream.read(), stream.name
        if hashlib.sha256(content).hexdigest() != shard.sidecar_sha256:
            raise FoldError(f"{name} is damaged: its checksum differs from the index")
        rows = load_sidecar(io.BytesIO(content), name)
        if len(rows) != shard.utterances:
            raise FoldError(f"{name} has {len(rows)} rows, but the index {shard.utterances} utterances")
        return rows


def change_speed(samples: np.ndarray, speed: float) -> np.ndarray:
    """Samples played faster by `speed`: (num_samples,) becomes (num_samples / speed,), higher in pitch."""
    return samples if speed == 1.0 else soxr.resample(samples, speed, 1.0)


def read_bytes(descriptor: Callable[[int], int], shard: int, start: int, end: int, check: Check) -> bytes:
    """The bytes from `start` to `end` of the tar of a shard that `descriptor` opens, given its number."""
    try:
        content = os.pread(descriptor(shard), end - start, start)
    except (OSError, FoldError) as error:
        check.fail("unreadable shard", str(error))
    check.that(len(content) == end - start, "truncated shard", f"it ends before byte {end}")
    return content

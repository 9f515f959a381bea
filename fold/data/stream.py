"""Reads utterances out of shards: one read and one decode an utterance, nothing trusted, nothing unpickled."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import tarfile
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NoReturn

import numpy as np
import soundfile
import soxr
import torch
from torch.utils.data import Dataset

from fold.data.augment import Augmenter
from fold.data.batching import Batch, Example, Rounding, collate
from fold.data.faults import BadUtterance, Fault
from fold.data.index import Split
from fold.data.joining import Joiner
from fold.data.location import Location
from fold.data.plans import Reference
from fold.data.pointers import TOLERANCE, Pointer, read_pointed
from fold.data.shards import hash_id, load_sidecar
from fold.errors import FoldError
from fold.text.units import Units
from fold.text.unknown import ALL_KNOWN, Unknown

OPEN_SHARDS = 32
OPEN_SIDECARS = 64
FULL_SCALE = 32767 / 32768
MAX_CLIPPED_SHARE = 0.05  # of the samples, at full scale: what is left is noise

FitsAudio = Callable[[Sequence[int], int], bool]
"""Whether audio of so many samples can hold a transcript of these units."""


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


class Check:
    """Checks of one utterance, which know where it lies."""

    def __init__(self, shard: str, id: str) -> None:
        self.shard = shard
        self.id = id

    def that(self, condition: bool, reason: str, detail: str) -> None:
        """Raises BadUtterance unless the condition holds."""
        if not condition:
            self.fail(reason, detail)

    def fail(self, reason: str, detail: str) -> NoReturn:
        """Raises BadUtterance."""
        raise BadUtterance(Fault(reason, self.shard, self.id, detail))


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


def member_name(content: bytes, place: int) -> bytes:
    """Name of the tar member whose content begins at `place`: the first field of the header before it.

    The rest of the header says nothing that the sidecar does not.
    """
    start = place - tarfile.BLOCKSIZE
    return content[start : start + tarfile.LENGTH_NAME].rstrip(b"\0")


def parse_meta(content: bytes, row: np.void, check: Check) -> tuple[str, str, Pointer | None]:
    """Id and transcript out of a metadata member, and how its recording is read if that lies elsewhere."""
    check.that(zlib.crc32(content) == int(row["meta_crc"]), "damaged metadata", "its checksum differs")
    try:
        meta = json.loads(content.decode())
        id, text = meta["id"], meta["text"]
        pointer = Pointer.of(meta["recording"]) if "recording" in meta else None
        usable = isinstance(id, str) and isinstance(text, str)
    except (ValueError, KeyError, TypeError) as error:
        check.fail("damaged metadata", repr(error))
    check.that(usable, "damaged metadata", "id and text are not both strings")
    check.that(hash_id(id) == int(row["id_hash"]), "damaged metadata", f"id '{id}' is not the sidecar's")
    check.that(bool(text.strip()) or pointer is not None, "no transcript", "its text is empty")
    return id, text, pointer


def decode(content: bytes, sample_rate: int, num_samples: int, check: Check) -> np.ndarray:
    """Decodes audio: (num_samples,) float32 in [-1, 1)."""
    samples: np.ndarray
    try:
        samples, rate = soundfile.read(io.BytesIO(content), dtype="float32")
    except (soundfile.SoundFileError, OSError, ValueError) as error:
        check.fail("undecodable audio", str(error))
    check.that(rate == sample_rate, "wrong sample rate", f"{rate} Hz, expected {sample_rate}")
    check.that(samples.ndim == 1, "wrong channels", f"{samples.shape[-1]} channels, expected 1")
    check.that(len(samples) > 0, "no samples", "zero length")
    check.that(len(samples) == num_samples, "wrong duration", f"{len(samples)} samples, expected {num_samples}")
    check_samples(samples, check)
    return samples


def check_samples(samples: np.ndarray, check: Check) -> None:
    """Checks that samples are no noise."""
    lowest, highest = torch.from_numpy(samples).aminmax()  # NaN if a sample is
    peak = max(-lowest.item(), highest.item())
    check.that(math.isfinite(peak), "invalid samples", "NaN or infinite")
    if peak >= FULL_SCALE:
        clipped = np.count_nonzero(np.abs(samples) >= FULL_SCALE) / len(samples)
        check.that(bool(clipped <= MAX_CLIPPED_SHARE), "clipped audio", f"{clipped:.0%} of the samples at full scale")

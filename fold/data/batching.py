"""Utterances and batches of them."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from fold.data.faults import Fault

T = TypeVar("T")

EMPTY_SAMPLES = 8000  # enough for any model to encode
MOST_SAMPLES = 1 << 30  # of a batch


class Batch(NamedTuple):
    """Utterances of similar length.

    waveforms: (batch, samples) fp32 in [-1, 1], zero past each end; num_samples: (batch,);
    units: (batch, length) padded transcripts; num_units: (batch,); ids, texts, subsets: one per utterance; faults: of
    utterances left out. A batch without utterances has one row of silence without units, which has no part in a loss:
    all ranks must take each step, whatever they have for it.
    """

    waveforms: Tensor
    num_samples: Tensor
    units: Tensor
    num_units: Tensor
    ids: list[str]
    texts: list[str]
    subsets: list[str]
    faults: list[Fault]

    def to(self, device: torch.device) -> Batch:
        """The batch with waveforms and units on a device. Lengths stay on the CPU: there losses and decoding read them,
        which on a GPU would mean waiting for it."""
        waveforms, units = (tensor.to(device, non_blocking=True) for tensor in (self.waveforms, self.units))
        return self._replace(waveforms=waveforms, units=units)


class Example(NamedTuple):
    """One decoded utterance. waveform: (samples,) fp32; units: (length,)."""

    id: str
    text: str
    waveform: Tensor
    units: Tensor
    subset: str = ""


@dataclass(frozen=True)
class Rounding:
    """Numbers of samples that batches are padded to: `first`, and `step` more at a time."""

    first: int
    step: int

    @classmethod
    def to_frames(cls, num_frames: Callable[[int], int], multiple: int) -> Rounding | None:
        """The least samples of which an encoder makes `multiple` frames, twice as many and so on; None for 1.

        num_frames: gives the frames of so many samples, one more every so many samples.
        """
        if multiple == 1:
            return None
        first, second = (bisect_left(range(MOST_SAMPLES), n * multiple, key=num_frames) for n in (1, 2))
        return cls(first, second - first)

    def up(self, samples: int) -> int:
        """The next of these numbers, `samples` or more."""
        return self.first + max(0, math.ceil((samples - self.first) / self.step)) * self.step


def collate(utterances: Sequence[Example], faults: Sequence[Fault] = (), rounding: Rounding | None = None) -> Batch:
    """Pads utterances to one batch. rounding: of its samples (None: as many as the longest has)."""
    rows = utterances or [Example("", "", torch.zeros(EMPTY_SAMPLES), torch.zeros(0, dtype=torch.long))]
    return Batch(
        waveforms=pad([u.waveform for u in rows], rounding),
        num_samples=torch.tensor([len(u.waveform) for u in rows]),
        units=pad([u.units for u in rows]),
        num_units=torch.tensor([len(u.units) for u in rows]),
        ids=[u.id for u in utterances],
        texts=[u.text for u in utterances],
        subsets=[u.subset for u in utterances],
        faults=list(faults),
    )


def pad(sequences: Sequence[Tensor], rounding: Rounding | None = None) -> Tensor:
    """Sequences of one type, each (length,), as one tensor (number, longest or rounded up), zero past each end.

    In a worker of a DataLoader it is made in shared memory at once, which saves copying it there.
    """
    number, longest = len(sequences), max(map(len, sequences))
    if rounding is not None:
        longest = rounding.up(longest)
    like = sequences[0]
    if get_worker_info() is None:
        padded = like.new_empty(number, longest)
    else:
        num_bytes = number * longest * like.element_size()
        new = like.untyped_storage()._new_shared
        storage: torch.UntypedStorage = new(num_bytes)  # type: ignore[no-untyped-call]  # as PyTorch leaves it
        padded = like.new_empty(0).set_(storage, 0, (number, longest), (longest, 1))
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
        row[len(sequence) :] = 0
    return padded


def as_it_is(batch: T) -> T:
    """For a loader whose items are batches already."""
    return batch

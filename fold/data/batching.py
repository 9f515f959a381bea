"""Utterances and batches of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from fold.data.faults import Fault

EMPTY_SAMPLES = 8000  # enough for any model to encode


class Batch(NamedTuple):
    """Utterances of similar length.

    waveforms: (batch, samples) fp32 in [-1, 1], zero past each end; num_samples: (batch,);
    units: (batch, length) padded transcripts; num_units: (batch,); ids, texts, subsets: one an utterance; faults: of
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


def collate(utterances: Sequence[Example], faults: Sequence[Fault] = ()) -> Batch:
    """Pads utterances to one batch."""
    rows = utterances or [Example("", "", torch.zeros(EMPTY_SAMPLES), torch.zeros(0, dtype=torch.long))]
    return Batch(
        waveforms=pad([u.waveform for u in rows]),
        num_samples=torch.tensor([len(u.waveform) for u in rows]),
        units=pad([u.units for u in rows]),
        num_units=torch.tensor([len(u.units) for u in rows]),
        ids=[u.id for u in utterances],
        texts=[u.text for u in utterances],
        subsets=[u.subset for u in utterances],
        faults=list(faults),
    )


def pad(sequences: Sequence[Tensor]) -> Tensor:
    """Sequences of one type, each (length,), as one tensor (number, longest), zero past each end.

    In a worker of a DataLoader it is made in shared memory at once, which saves copying it there.
    """
    number, longest = len(sequences), max(map(len, sequences))
    like = sequences[0]
    if get_worker_info() is None:
        padded = like.new_empty(number, longest)
    else:
        storage = like.untyped_storage()._new_shared(number * longest * like.element_size())
        padded = like.new_empty(0).set_(storage, 0, (number, longest))
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
        row[len(sequence) :] = 0
    return padded

"""Utterances and batches of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from fold.data.faults import Fault

EMPTY_SAMPLES = 8000  # enough for any model to encode


class Batch(NamedTuple):
    """Utterances of similar length.

    waveforms: (batch, samples) fp32 in [-1, 1], zero past each end; num_samples: (batch,);
    units: (batch, length) padded transcripts; num_units: (batch,); ids, texts: one an utterance; faults: of utterances
    left out. A batch without utterances has one row of silence without units, which has no part in a loss: all ranks
    must take each step, whatever they have for it.
    """

    waveforms: Tensor
    num_samples: Tensor
    units: Tensor
    num_units: Tensor
    ids: list[str]
    texts: list[str]
    faults: list[Fault]


class Example(NamedTuple):
    """One decoded utterance. waveform: (samples,) fp32; units: (length,)."""

    id: str
    text: str
    waveform: Tensor
    units: Tensor


def collate(utterances: Sequence[Example], faults: Sequence[Fault] = ()) -> Batch:
    """Pads utterances to one batch."""
    pad = torch.nn.utils.rnn.pad_sequence
    rows = utterances or [Example("", "", torch.zeros(EMPTY_SAMPLES), torch.zeros(0, dtype=torch.long))]
    return Batch(
        waveforms=pad([u.waveform for u in rows], batch_first=True),
        num_samples=torch.tensor([len(u.waveform) for u in rows]),
        units=pad([u.units for u in rows], batch_first=True),
        num_units=torch.tensor([len(u.units) for u in rows]),
        ids=[u.id for u in utterances],
        texts=[u.text for u in utterances],
        faults=list(faults),
    )

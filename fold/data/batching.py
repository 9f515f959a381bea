"""Which utterances make which batch: planned from durations alone, before any audio is read.

A plan is a sampler whose items are whole batches (lists of `Reference`s). Plans depend on (seed, epoch) alone; every
rank computes the same plan and takes its own share of each step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler


class Reference(NamedTuple):
    """Where an utterance lies, number of its shard in the split and row in that shard's sidecar, and how fast to
    play it (1.1: in 1/1.1 of the time)."""

    shard: int
    row: int
    speed: float = 1.0


class Batch(NamedTuple):
    """Utterances of similar length.

    waveforms: (batch, samples) fp32 in [-1, 1], zero past each end; num_samples: (batch,);
    units: (batch, length) padded transcripts; num_units: (batch,); ids, texts: one an utterance.
    """

    waveforms: Tensor
    num_samples: Tensor
    units: Tensor
    num_units: Tensor
    ids: list[str]
    texts: list[str]


class Example(NamedTuple):
    """One decoded utterance. waveform: (samples,) fp32; units: (length,)."""

    id: str
    text: str
    waveform: Tensor
    units: Tensor


def collate(utterances: Sequence[Example]) -> Batch:
    """Pads utterances to one batch."""
    pad = torch.nn.utils.rnn.pad_sequence
    return Batch(
        waveforms=pad([u.waveform for u in utterances], batch_first=True),
        num_samples=torch.tensor([len(u.waveform) for u in utterances]),
        units=pad([u.units for u in utterances], batch_first=True),
        num_units=torch.tensor([len(u.units) for u in utterances]),
        ids=[u.id for u in utterances],
        texts=[u.text for u in utterances],
    )


def pack(lengths: np.ndarray, max_total: int) -> list[np.ndarray]:
    """Cuts utterances, given in order of length, into batches of at most `max_total` padded samples.

    Returns arrays of positions in `lengths`; an utterance longer than `max_total` makes a batch of its own.
    """
    batches, start = [], 0
    for end in range(1, len(lengths) + 1):
        if end == len(lengths) or lengths[start : end + 1].max() * (end + 1 - start) > max_total:
            batches.append(np.arange(start, end))
            start = end
    return batches


def split_to_multiple(batches: list[np.ndarray], multiple: int) -> list[np.ndarray]:
    """Halves the fullest batches until their number is a multiple of `multiple` (or all hold one utterance)."""
    batches = list(batches)
    while len(batches) % multiple:
        fullest = max(range(len(batches)), key=lambda index: len(batches[index]))
        if len(batches[fullest]) == 1:
            break
        halves = np.array_split(batches[fullest], 2)
        batches[fullest : fullest + 1] = halves
    return batches


class TrainPlan(Sampler[list[Reference]]):
    """Seeded, shuffled batches of an epoch, dealt to ranks.

    The order of shards is drawn; within a window of shards, utterances of similar length form batches, the
    `world_size` batches of a step are of nearly equal length (so that no rank waits), and steps are shuffled. What does
    not fill a step even after splitting (fewer utterances than ranks, at the end of a window) is left out.

    lengths: samples of each utterance, an array a shard (negative: not to be used); max_batch_samples: padded samples
    in a batch; window: shards shuffled together; speeds: one is drawn for each utterance.
    """

    def __init__(
        self,
        lengths: Sequence[np.ndarray],
        max_batch_samples: int,
        *,
        seed: int,
        window: int,
        speeds: Sequence[float] = (1.0,),
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.lengths = lengths
        self.max_batch_samples = max_batch_samples
        self.seed = seed
        self.window = window
        self.speeds = speeds
        self.rank = rank
        self.world_size = world_size
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of an epoch."""
        self.batches = [step[self.rank] for step in self._steps(np.random.default_rng((self.seed, epoch)))]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[Reference]]:
        return iter(self.batches)

    def _steps(self, generator: np.random.Generator) -> Iterator[list[list[Reference]]]:
        shards = generator.permutation(len(self.lengths))
        for start in range(0, len(shards), self.window):
            references, lengths = flatten(self.lengths, shards[start : start + self.window])
            speeds = generator.choice(self.speeds, len(references))
            references = [ref._replace(speed=float(speed)) for ref, speed in zip(references, speeds, strict=True)]
            lengths = np.ceil(lengths / speeds).astype(np.int64)
            order = np.argsort(lengths * generator.uniform(0.95, 1.05, len(lengths)))  # other batches each epoch
            batches = split_to_multiple(pack(lengths[order], self.max_batch_samples), self.world_size)
            grouped = [batches[i : i + self.world_size] for i in range(0, len(batches), self.world_size)]
            for step in generator.permutation(len(grouped)):
                if len(grouped[step]) == self.world_size:
                    yield [[references[order[i]] for i in batch] for batch in grouped[step]]


class EvalPlan(Sampler[list[Reference]]):
    """Every utterance once, in order of length, as many batches on every rank. Arguments as of `TrainPlan`."""

    def __init__(
        self, lengths: Sequence[np.ndarray], max_batch_samples: int, *, rank: int = 0, world_size: int = 1
    ) -> None:
        references, flat = flatten(lengths, range(len(lengths)))
        order = np.argsort(-flat, kind="stable")
        # Equal numbers matter: DDP may synchronise in each forward pass, and would wait for a rank without a batch.
        batches = split_to_multiple(pack(flat[order], max_batch_samples), world_size)
        self.batches = [[references[order[i]] for i in batch] for batch in batches[rank::world_size]]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[Reference]]:
        return iter(self.batches)


def flatten(lengths: Sequence[np.ndarray], shards: Sequence[int]) -> tuple[list[Reference], np.ndarray]:
    """References and lengths of the usable utterances of `shards`."""
    references = [Reference(int(s), int(row)) for s in shards for row in np.flatnonzero(lengths[s] >= 0)]
    return references, np.array([lengths[ref.shard][ref.row] for ref in references], dtype=np.int64)

"""Which utterances make which batch: planned from durations, before any audio is read.

A plan is a sampler whose items are whole batches (lists of `Reference`s). Plans depend only on (seed, epoch); every
rank computes the same plan and takes its own share of each step. Durations are read window by window, so that start-up
and memory do not grow with the corpus, and a plan can start anywhere in an epoch.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from torch.utils.data import Sampler

Lengths = Callable[[int], np.ndarray]
"""Samples of each utterance of a shard, given by its number; negative: not to be used."""


class Reference(NamedTuple):
    """Where an utterance lies, number of its shard in the split and row in that shard's sidecar, how fast to play it
    (1.1: in 1/1.1 of the time), and the epoch that it is read for."""

    shard: int
    row: int
    speed: float = 1.0
    epoch: int = 0


@dataclass(frozen=True)
class Window:
    """Shards that are shuffled together, and the optimizer steps that their utterances make."""

    number: int
    shards: np.ndarray
    num_steps: int


class TrainPlan(Sampler[list[Reference]]):
    """Seeded, shuffled batches of an epoch: every utterance exactly once, `num_steps` optimizer steps always.

    The order of shards is drawn and cut into windows; within a window, utterances of similar length form steps, and
    steps are shuffled. The utterances of a step depend neither on the number of ranks nor on how many batches each
    takes for it: the batches of a step are cut out of it, of like size and length, so that no rank waits. A batch is
    empty only where there are fewer utterances than batches.

    lengths: read window by window; shard_seconds: audio of each shard, which shares the steps out over the windows;
    window: shards shuffled together; speeds: one is drawn for each utterance;
    batches: into which a step can be cut such that a device holds each; accumulate: batches of a rank in a step.
    """

    def __init__(
        self,
        lengths: Lengths,
        shard_seconds: Sequence[float],
        num_steps: int,
        *,
        seed: int,
        window: int,
        speeds: Sequence[float] = (1.0,),
        batches: int = 1,
        accumulate: int = 1,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.lengths = lengths
        self.shard_seconds = np.asarray(shard_seconds, dtype=float)
        self.num_steps = num_steps
        self.seed = seed
        self.window = window
        self.speeds = speeds
        self.batches = batches
        self.accumulate = accumulate
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        self._resumed = (0, 0)

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of an epoch."""
        self.epoch = epoch

    def resume(self, epoch: int, step: int) -> None:
        """Goes on after `step` steps of an epoch."""
        self._resumed = (epoch, step) if step < self.num_steps else (epoch + 1, 0)
        self.epoch = self._resumed[0]

    def __len__(self) -> int:
        return self.num_steps * self.accumulate

    def __iter__(self) -> Iterator[list[Reference]]:
        epoch, skipped = self._resumed
        skip = skipped if self.epoch == epoch else 0
        for window in self.windows(self.epoch):
            if skip < window.num_steps:  # a window that lies behind is not even read
                for batches in itertools.islice(self._steps(self.epoch, window), skip, None):
                    yield from batches[self.rank :: self.world_size]
            skip = max(0, skip - window.num_steps)

    def windows(self, epoch: int) -> list[Window]:
        """Shards in the order of the epoch, in windows of nearly equal size that share its steps out."""
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.shard_seconds))
        number = min(math.ceil(len(order) / self.window), self.num_steps)
        parts = np.array_split(order, number)
        share = np.cumsum([self.shard_seconds[part].sum() for part in parts]) / max(self.shard_seconds.sum(), 1e-9)
        ends = np.arange(1, number + 1) + np.rint((self.num_steps - number) * share).astype(int)
        steps = np.diff(ends, prepend=0)  # one step at least for each
        return [Window(index, part, int(n)) for index, (part, n) in enumerate(zip(parts, steps, strict=True))]

    def _steps(self, epoch: int, window: Window) -> Iterator[list[list[Reference]]]:
        """The batches of each step of a window, of all ranks."""
        generator = np.random.default_rng((self.seed, epoch, 1 + window.number))
        references, lengths = flatten(self.lengths, window.shards)
        speeds = generator.choice(self.speeds, len(references))
        lengths = np.ceil(lengths / speeds).astype(np.int64)
        order = np.argsort(lengths * generator.uniform(0.95, 1.05, len(lengths)))  # other batches each epoch
        ends = cut(lengths[order], window.num_steps * self.batches)
        for step in generator.permutation(window.num_steps):
            first, last = ends[step * self.batches], ends[(step + 1) * self.batches - 1]
            chosen = order[first[0] : last[1]]
            batches = [
                [references[i]._replace(speed=float(speeds[i]), epoch=epoch) for i in chosen[start:end]]
                for start, end in cut(lengths[chosen], self.accumulate * self.world_size)
            ]
            shuffled = np.random.default_rng((self.seed, epoch, 1 + window.number, 1 + step)).permutation(len(batches))
            yield [batches[i] for i in shuffled]


class EvalPlan(Sampler[list[Reference]]):
    """Every utterance once, in order of length, as many batches on every rank (some of them may be empty).

    lengths: as of `TrainPlan`; shards: numbers of those to evaluate; max_batch_samples: padded samples in a batch.
    """

    def __init__(
        self, lengths: Lengths, shards: Sequence[int], max_batch_samples: int, *, rank: int = 0, world_size: int = 1
    ) -> None:
        references, flat = flatten(lengths, shards)
        order = np.argsort(-flat, kind="stable")
        batches = [[references[order[i]] for i in range(*ends)] for ends in pack(flat[order], max_batch_samples)]
        # Equal numbers matter: DDP may synchronise in each forward pass, and would wait for a rank without a batch.
        batches += [[] for _ in range(-len(batches) % world_size)]
        self.batches = batches[rank::world_size]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[Reference]]:
        return iter(self.batches)


def current_names(plan: dict[str, Any]) -> dict[str, Any]:
    """Settings of a plan of any version by their names of today: what was called `seed` is a random seed."""
    return {"random_seed" if name == "seed" else name: value for name, value in plan.items()}


def whole(ratio: float) -> int:
    """Rounded up, whatever floating point makes of an exact ratio."""
    return math.ceil(ratio - 1e-6)


def flatten(lengths: Lengths, shards: Sequence[int] | np.ndarray) -> tuple[list[Reference], np.ndarray]:
    """References and lengths of the usable utterances of `shards`."""
    by_shard = [(int(shard), lengths(shard)) for shard in shards]
    references = [Reference(shard, row) for shard, flat in by_shard for row in np.flatnonzero(flat >= 0).tolist()]
    usable = [flat[flat >= 0] for _, flat in by_shard]
    return references, np.concatenate([np.empty(0, dtype=np.int64), *usable])


def pack(lengths: np.ndarray, max_total: int) -> list[tuple[int, int]]:
    """Cuts utterances, given roughly in order of length, into batches of at most `max_total` padded samples.

    Returns where each batch starts and ends; an utterance longer than `max_total` makes a batch of its own.
    """
    batches, start = [], 0
    while start < len(lengths):
        candidates = lengths[start : start + max(1, max_total // max(1, int(lengths[start])) + 1)]
        padded = np.maximum.accumulate(candidates) * np.arange(1, len(candidates) + 1)
        end = start + max(1, int(np.searchsorted(padded, max_total, side="right")))
        batches.append((start, end))
        start = end
    return batches


def cut(lengths: np.ndarray, number: int) -> list[tuple[int, int]]:
    """Cuts utterances, given roughly in order of length, into exactly `number` batches, the fullest as small as can be.

    Returns where each batch starts and ends; the last are empty if there are fewer utterances than batches.
    """
    least, most = 0, int(lengths.max(initial=0)) * len(lengths)
    while most - least > max(1, least // 256):
        middle = (least + most) // 2
        least, most = (least, middle) if len(pack(lengths, middle)) <= number else (middle, most)
    batches = pack(lengths, most)
    while len(batches) < min(number, len(lengths)):
        fullest = max(range(len(batches)), key=lambda index: batches[index][1] - batches[index][0])
        start, end = batches[fullest]
        batches[fullest : fullest + 1] = [(start, (start + end) // 2), ((start + end) // 2, end)]
    return batches + [(len(lengths), len(lengths))] * (number - len(batches))

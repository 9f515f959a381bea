"""Shards and samples damaged in a thousand ways: each is reported, and what is not hit comes back unchanged."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
from badspeech import BAD, FAULTS, SHARD, TEXTS, everything, reopened, write

from fold.data.batching import Batch
from fold.data.shards import sidecar_path
from fold.data.stream import ShardedSpeech
from torture import Tally

Damage = Callable[[bytearray, random.Random], bytearray]
"""Alters the bytes of a file."""


def flip(content: bytearray, dice: random.Random) -> bytearray:
    for _ in range(dice.choice((1, 1, 2, 8, 64))):
        content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    return content


def truncate(content: bytearray, dice: random.Random) -> bytearray:
    return content[: dice.randrange(len(content))]


def garble(content: bytearray, dice: random.Random) -> bytearray:
    start = dice.randrange(len(content))
    end = min(len(content), start + dice.randrange(1, 2000))
    content[start:end] = dice.randbytes(end - start)
    return content


def remove(content: bytearray, dice: random.Random) -> bytearray:
    start = dice.randrange(len(content))
    del content[start : start + dice.randrange(1, 2000)]
    return content


def swap(content: bytearray, dice: random.Random) -> bytearray:
    size = dice.randrange(1, len(content) // 2)
    one, other = dice.randrange(len(content) // 2 - size + 1), len(content) - size
    content[one : one + size], content[other:] = content[other:], content[one : one + size]
    return content


DAMAGES = (flip, truncate, garble, remove, swap)


def mutations(number: int, folder: Path, seed: int = 0) -> Tally:
    """Damages a prepared split `number` times: a third each in samples, shards and sidecars."""
    dice, survived = random.Random(seed), 0
    good = everything(write(folder))
    for index in range(number):
        if index % 3 == 0:
            change, reason = FAULTS[dice.choice(list(FAULTS))]
            survived += sample_survives(everything(write(folder, change)), good, reason)
        else:
            data = write(folder)
            file = folder / SHARD if index % 3 == 1 else sidecar_path(folder / SHARD)
            file.write_bytes(dice.choice(DAMAGES)(bytearray(file.read_bytes()), dice))
            survived += file_survives(reopened(data), good)
    return Tally("mutated shards and samples", number, survived)


def sample_survives(batch: Batch, good: Batch, reason: str) -> bool:
    """The bad utterance alone is missing, for its own reason."""
    expected = [id for row, id in enumerate(good.ids) if row != BAD]
    return batch.ids == expected and [fault.reason for fault in batch.faults] == [reason] and unchanged(batch, good)


def file_survives(data: ShardedSpeech, good: Batch) -> bool:
    """Every utterance comes back unchanged or is reported."""
    batch = everything(data)
    return len(batch.ids) + len(batch.faults) == len(TEXTS) and unchanged(batch, good)


def unchanged(batch: Batch, good: Batch) -> bool:
    """Whether all that came back is as it was."""
    for row, id in enumerate(batch.ids):
        same = good.ids.index(id)
        n = int(good.num_samples[same])
        samples, expected = batch.waveforms[row, :n].numpy(), good.waveforms[same, :n].numpy()
        if batch.texts[row] != good.texts[same] or int(batch.num_samples[row]) != n:
            return False
        if not np.array_equal(samples, expected):
            return False
    return True

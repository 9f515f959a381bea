"""Start-up, memory and resuming with an index of millions of utterances."""

from __future__ import annotations

import io
import multiprocessing
import time
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO

import numpy as np

from benchmarks.memory import resident
from benchmarks.report import Row, Section
from fold.data.corpora import Utterance
from fold.data.index import Index, Shard, Split, read_index, write_index
from fold.data.location import Location
from fold.data.plans import TrainPlan
from fold.data.shards import read_sidecar, sidecar_path, write_shard
from fold.data.stream import ShardedSpeech
from fold.text.units import UnitsConfig, train_units

UTTERANCES = 1000  # in a shard
RATE = 1000
MIB = 1 << 20


@dataclass(frozen=True)
class OneForAll(Location):
    """A corpus whose shards are all the same file."""

    base: Path
    real: Shard

    def index(self) -> Index:
        return read_index(self.base)

    def _open(self, name: str, sha256: str, num_bytes: int) -> IO[bytes]:
        file = self.base / (self.real.file if name.endswith(".tar") else sidecar_path(Path(self.real.file)).name)
        stream = io.BytesIO(file.read_bytes())
        stream.name = name
        return stream


def scale(folder: Path) -> Section:
    """Ten shards against ten thousand, each in a process of its own."""
    section = Section("Start-up with an index of 10 and of 10,000 shards (1,000 utterances each)")
    found = {}
    for number in (10, 10_000):
        base = folder / f"shards-{number}"
        real = write_corpus(base, number)
        receiver, sender = multiprocessing.get_context("spawn").Pipe()
        process = multiprocessing.get_context("spawn").Process(target=measure, args=(base, real, sender))
        process.start()
        found[number] = receiver.recv()
        process.join()
    for name, unit in (("start-up", "s"), ("first batch of a resumed run", "s"), ("memory grown by", "MiB")):
        for number, values in found.items():
            section.rows.append(Row(f"{name}, {number * UTTERANCES:,} utterances", [values[name]], unit))
    section.notes.append("start-up: index read, plan made, first batch planned; resumed: in epoch 3, after 90 % of it")
    return section


def write_corpus(base: Path, number: int) -> Shard:
    """An index of `number` shards, which are all the one that is written."""
    base.mkdir()
    generator = np.random.default_rng(0)
    utterances = (
        Utterance(f"u{i}", "a", "s", np.zeros(int(n), dtype=np.float32), RATE)
        for i, n in enumerate(generator.integers(2 * RATE, 12 * RATE, UTTERANCES))
    )
    real = write_shard(base / "train-000000.tar", utterances, RATE)
    seconds = np.tile(read_sidecar(base / real.file)["num_samples"] / RATE, number)
    shards = [replace(real, file=f"train-{i:06d}.tar") for i in range(number)]
    units = train_units(UnitsConfig(), ["a"])
    write_index(base, Index({"class": "Silence"}, RATE, units.to_dict(), {"train": Split.of(shards, seconds)}))
    return real


def measure(base: Path, real: Shard, sender: Connection) -> None:
    """Sends seconds and memory of start-up and of resuming."""
    before, started = resident("VmRSS"), time.perf_counter()
    plan = make_plan(OneForAll(base, real))
    next(iter(plan))
    start_up = time.perf_counter() - started
    started = time.perf_counter()
    resumed = make_plan(OneForAll(base, real))
    resumed.resume(3, int(0.9 * len(resumed)))
    next(iter(resumed))
    found = {
        "start-up": start_up,
        "first batch of a resumed run": time.perf_counter() - started,
        "memory grown by": (resident("VmRSS") - before) / MIB,
    }
    sender.send(found)


def make_plan(location: OneForAll) -> TrainPlan:
    """The training plan of a corpus, 60 s a batch."""
    index = location.index()
    split = index.splits["train"]
    speech = ShardedSpeech(location, split, RATE, train_units(UnitsConfig(), ["a"]))
    steps = int(np.ceil(1.02 * split.seconds / 60))
    return TrainPlan(speech.lengths(), [s.seconds for s in split.shards], steps, seed=0, window=16)

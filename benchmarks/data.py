"""The data pipeline against bare decoding and against plain webdataset, its start-up and its memory.

    python -m benchmarks.data --prepared shards/librispeech-0123abcd

Without --prepared a corpus of noise is written to a temporary folder.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile
import torch
import webdataset
from rich.console import Console
from torch.utils.data import DataLoader, IterableDataset

from benchmarks.data_scale import scale
from benchmarks.report import Row, Section
from benchmarks.timing import interleaved, ratios, summary
from fold.data.batching import Example, as_it_is, collate
from fold.data.cache import ShardCache
from fold.data.corpora import Utterance
from fold.data.index import Index, Split, write_index
from fold.data.location import Location
from fold.data.plans import TrainPlan
from fold.data.shards import read_sidecar, write_shard
from fold.data.stream import ShardedSpeech
from fold.text.units import UnitsConfig, train_units, units_from_dict

CPU = torch.device("cpu")
BATCH_SECONDS = 60.0
BATCH_UTTERANCES = 8  # of plain webdataset, which knows no durations


class Bytes(IterableDataset):
    """The bare limit: FLAC bytes that lie in memory, decoded one after another."""

    def __init__(self, contents: list[bytes]) -> None:
        self.contents = contents

    def __iter__(self) -> Iterator[int]:
        for content in self.contents:
            samples, _ = soundfile.read(io.BytesIO(content), dtype="float32")
            yield len(samples)


class Plain(IterableDataset):
    """Plain webdataset: shards in order, decoded by soundfile, padded in the order in which they come."""

    def __init__(self, files: list[str], encode: Callable[[str], list[int]]) -> None:
        self.files = files
        self.encode = encode

    def __iter__(self) -> Iterator[object]:
        waiting = []
        for sample in webdataset.WebDataset(self.files, shardshuffle=False, workersplitter=webdataset.split_by_worker):
            meta = json.loads(sample["json"])
            samples, _ = soundfile.read(io.BytesIO(sample["flac"]), dtype="float32")
            waiting.append(
                Example(meta["id"], meta["text"], torch.from_numpy(samples), torch.tensor(self.encode(meta["text"])))
            )
            if len(waiting) == BATCH_UTTERANCES:
                yield collate(waiting)
                waiting = []
        if waiting:
            yield collate(waiting)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prepared", type=Path, help="a folder that `fold prepare` has written")
    parser.add_argument("--rounds", type=int, default=5)
    settings = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        prepared = settings.prepared or noise(Path(folder) / "noise")
        for section in (throughput(prepared, settings.rounds), scale(Path(folder))):
            section.print(Console())


def noise(folder: Path, utterances: int = 400, sample_rate: int = 16000) -> Path:
    """Writes a corpus of noise that rises and falls as syllables do: what FLAC makes of it is about as long."""
    folder.mkdir()
    generator = np.random.default_rng(0)

    def utterance(number: int) -> Utterance:
        n = int(generator.uniform(2, 12) * sample_rate)
        loudness = 0.1 * np.abs(np.sin(np.arange(n) * 12.0 / sample_rate))
        samples = np.convolve(generator.standard_normal(n) * loudness, np.ones(8) / 8, "same")
        return Utterance(f"n{number}", "some words or other", "noise", samples.astype(np.float32), sample_rate)

    shards = [
        write_shard(folder / f"train-{start // 100:06d}.tar", map(utterance, range(start, start + 100)), sample_rate)
        for start in range(0, utterances, 100)
    ]
    seconds = np.concatenate([read_sidecar(folder / s.file)["num_samples"] / sample_rate for s in shards])
    units = train_units(UnitsConfig(), ["some words or other"])
    write_index(folder, Index({"class": "Noise"}, sample_rate, units.to_dict(), {"train": Split.of(shards, seconds)}))
    return folder


def throughput(prepared: Path, rounds: int) -> Section:
    """Utterances per second of one pass over the training split."""
    location = Location.of(str(prepared), ShardCache(prepared / "cache", 0))
    index = location.index()
    split, units = index.splits["train"], units_from_dict(index.units)
    speech = ShardedSpeech(location, split, index.sample_rate, units, fits=lambda units, num_samples: True)
    steps = int(np.ceil(1.02 * split.seconds / BATCH_SECONDS))
    plan = TrainPlan(speech.lengths(), [s.seconds for s in split.shards], steps, seed=0, window=16)
    contents = [content for shard in split.shards for content in flacs(prepared / shard.file)]
    files = [str(prepared / shard.file) for shard in split.shards]

    def run(data: object, workers: int, **options: object) -> Callable[[int], None]:
        loader = DataLoader(data, batch_size=None, num_workers=workers, persistent_workers=workers > 0, **options)

        def once(number: int) -> None:
            for _ in loader:
                pass

        return once

    section = Section(
        f"Data pipeline: {split.utterances} utterances, {split.seconds / split.utterances:.1f} s on average"
    )
    for workers in (0, 1):
        calls = {
            "decode limit": run(Bytes(contents), workers),
            "fold": run(speech, workers, sampler=plan, collate_fn=as_it_is),
            "webdataset": run(Plain(files, units.encode), workers),
        }
        where = "one process" if workers == 0 else f"{workers} worker"
        seconds = interleaved(calls, rounds, CPU, where)
        for name in ("fold", "webdataset"):
            section.rows.append(Row(f"{where}: {name} / decode limit", ratios(seconds["decode limit"], seconds[name])))
        section.rows.append(Row(f"{where}: fold", [split.utterances / s for s in seconds["fold"]], "/s"))
        section.notes.append(f"{where}: {summary(seconds)}")
    return section


def flacs(file: Path) -> Iterator[bytes]:
    """The FLAC members of a shard."""
    rows = read_sidecar(file)
    content = file.read_bytes()
    return (content[row["audio_offset"] : row["audio_offset"] + row["audio_bytes"]] for row in rows)


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    main()

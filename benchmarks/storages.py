"""What fewer bits cost: WER of each storage of an exported model, and its distance from PyTorch, for docs/devices.md.

python -m benchmarks.storages CHECKPOINT SHARD.tar...

takes the utterances of shards of `fold prepare` one at a time, uncut, at every depth.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

import fold_device
from benchmarks.shard import utterances
from fold import checkpoint
from fold.export import onnx_module
from fold.metrics.errors import ErrorCounts, count_errors
from fold_device.words import best_path

STORAGES = ("fp32", "fp16", "int8", "int4")


@dataclass
class Found:
    """Of one storage at one depth: errors, utterances whose transcript PyTorch has otherwise, and how far the
    log-probabilities of each utterance are from PyTorch's at most."""

    errors: ErrorCounts = field(default_factory=ErrorCounts)
    differing: int = 0
    distances: list[float] = field(default_factory=list)

    def add(self, reference: str, text: str, expected: str, distance: float) -> None:
        """Counts an utterance: what was said, what the storage and PyTorch heard, and the distance."""
        self.errors += count_errors(reference, text)
        self.differing += text != expected
        self.distances.append(distance)


def measure(file: Path, shards: Sequence[Path], folder: Path) -> dict[tuple[str, int], Found]:
    """Exports the model of a checkpoint into `folder` and hears all utterances with PyTorch and every storage."""
    model, description = checkpoint.load(file)
    onnx_module("folder").write_folder(folder, model, description, STORAGES, "waveform")
    stored = {storage: fold_device.load(folder, storage) for storage in STORAGES}
    paths = [description.space.canonical(depth) for depth in description.space.depths]
    found = {(storage, path.depth): Found() for storage in STORAGES for path in paths}
    units = stored["fp32"].units
    for samples, reference in chain.from_iterable(map(utterances, shards)):
        with torch.inference_mode():
            outputs = model(torch.from_numpy(samples)[None], torch.tensor([len(samples)]), paths)
        for path, output in zip(paths, outputs, strict=True):
            exact = output.ctc_log_probs[0].numpy()
            expected = units.text(best_path(exact))
            for storage, device_model in stored.items():
                log_probs = device_model.log_probs(samples, device_model.description.choose(path.depth))
                distance = float(np.abs(log_probs - exact).max(initial=0))
                text = units.text(best_path(log_probs))
                found[storage, path.depth].add(reference, text, expected, distance)
    return found


def table(found: dict[tuple[str, int], Found]) -> Iterator[str]:
    """Lines of Markdown."""
    yield "| storage | depth | WER % | to fp32 | transcripts unlike PyTorch's | log-probabilities off by, mean / most |"
    yield "|---|---:|---:|---:|---:|---:|"
    for (storage, depth), each in found.items():
        wer, more = each.errors.wer, each.errors.wer - found["fp32", depth].errors.wer
        off = f"{np.mean(each.distances):.2g} / {np.max(each.distances):.2g}"
        yield f"| {storage} | {depth} | {wer:.2f} | {more:+.2f} | {each.differing} of {each.errors.sentences} | {off} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = argparse.ArgumentParser("python -m benchmarks.storages", description=__doc__)
    options.add_argument("checkpoint", type=Path)
    options.add_argument("shards", type=Path, nargs="+", help="tars of `fold prepare`, such as test-000000.tar")
    settings = options.parse_args(arguments)
    with TemporaryDirectory() as folder:
        for line in table(measure(settings.checkpoint, settings.shards, Path(folder))):
            print(line, flush=True)


if __name__ == "__main__":
    main()

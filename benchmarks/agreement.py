"""Do the runtimes hear what PyTorch hears? Transcripts of an fp32 export at every depth, for docs/devices.md.

python -m benchmarks.agreement CHECKPOINT SHARD.tar... --python other/bin/python --browser 100

takes utterances of shards of `fold prepare` through ONNX Runtime (of this Python, and of each other one that is named:
it needs numpy, soundfile, soxr and onnxruntime), sherpa-onnx and, where it is asked for, Chromium, and counts the
transcripts that differ from PyTorch's.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
import torch

import fold
from benchmarks.browser import chromium, heard, served
from benchmarks.shard import utterances
from fold import checkpoint
from fold.decoding.greedy import ctc_greedy
from fold.demo.page import write_page
from fold.demo.runtime import runtime_files
from fold.export import onnx_module
from fold_device.description import read_description

REPOSITORY = Path(__file__).parent.parent
RATE = 16000  # of what sherpa-onnx hears
SHERPA, CHROMIUM = "sherpa-onnx", "Chromium"
Run = Callable[[int], list[str]]


@dataclass(frozen=True)
class Export:
    """A checkpoint and its export, in a folder that also holds the utterances."""

    checkpoint: Path
    folder: Path
    sounds: Sequence[np.ndarray]

    @cached_property
    def files(self) -> list[Path]:
        """A recording for each utterance."""
        files = [self.folder / "page" / f"{number}.wav" for number in range(len(self.sounds))]
        files[0].parent.mkdir()
        for file, samples in zip(files, self.sounds, strict=True):
            soundfile.write(file, samples, RATE, subtype="FLOAT")
        return files

    @cached_property
    def onnx(self) -> Path:
        """The folder for devices."""
        onnx_module("folder").write_folder(
            self.folder / "onnx", *checkpoint.load(self.checkpoint), ["fp32"], "waveform"
        )
        return self.folder / "onnx"

    @cached_property
    def model(self) -> fold.Model:
        return fold.load(self.checkpoint, device="cpu", precision="fp32")

    def pytorch(self, depth: int) -> list[str]:
        return [self.model.transcribe(file, depth) for file in self.files]

    @torch.inference_mode()
    def uncut(self, depth: int) -> list[str]:
        """By PyTorch, without looking for pauses, as sherpa-onnx does."""
        model, path, units = self.model.recogniser, self.model.paths.canonical(depth), self.model.description.units
        texts = []
        for samples in self.sounds:
            [output] = model(torch.from_numpy(samples)[None], torch.tensor([len(samples)]), [path])
            [found] = ctc_greedy(output.ctc_log_probs, output.num_frames)
            texts.append(units.decode(found).strip())
        return texts

    def device(self, python: str, depth: int) -> list[str]:
        """By `fold_device`, run by some Python."""
        files = map(str, self.files)
        command = [python, "-m", "fold_device", "transcribe", str(self.onnx), *files, f"--depth={depth}"]
        done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=True)
        return [line.partition("\t")[2] for line in done.stdout.splitlines()]

    @cached_property
    def file(self) -> Path:
        """For sherpa-onnx."""
        model, description = checkpoint.load(self.checkpoint)
        write = onnx_module("sherpa").write_sherpa
        files: list[Path] = write(self.folder / "sherpa", model, description, ["fp32"], description.space.seed)
        return files[0]

    def sherpa(self, depth: int) -> list[str]:
        from sherpa_onnx.offline_recognizer import OfflineRecognizer

        onnx_module("baked").change_depth(self.file, depth, None)
        file, tokens = str(self.file), str(self.file.parent / "tokens.txt")
        recogniser = OfflineRecognizer.from_fire_red_asr_ctc(file, tokens)
        texts = []
        for samples in self.sounds:
            stream = recogniser.create_stream()
            stream.accept_waveform(RATE, samples)
            recogniser.decode_stream(stream)
            texts.append(stream.result.text.strip())
        return texts

    def browser(self, number: int, depth: int) -> list[str]:
        """Of the first utterances, by the page of `fold demo`."""
        page = self.files[0].parent
        write_page(read_description(self.onnx), page, runtime_files(), [])
        with served(page) as address, chromium() as shown:
            shown.get(address)
            return heard(shown, [file.name for file in self.files[:number]], depth)


def table(export: Export, pythons: Sequence[str], browser: int) -> Iterator[str]:
    """Lines of Markdown: of each runtime and depth, how many transcripts differ."""
    runtimes: dict[str, Run] = {f"ONNX Runtime {version(python)}": partial(export.device, python) for python in pythons}
    if browser:
        runtimes[CHROMIUM] = partial(export.browser, browser)
    runtimes[SHERPA] = export.sherpa
    yield "| runtime | depth | transcripts unlike PyTorch's |"
    yield "|---|---:|---:|"
    for depth in export.model.depths:
        cut = export.pytorch(depth)
        expected = {SHERPA: export.uncut(depth), CHROMIUM: cut[:browser]}
        for name, run in runtimes.items():
            differing = [text != right for text, right in zip(run(depth), expected.get(name, cut), strict=True)]
            yield f"| {name} | {depth} | {sum(differing)} of {len(differing)} |"


def version(python: str) -> str:
    """Of the ONNX Runtime of a Python."""
    command = [python, "-c", "import onnxruntime; print(onnxruntime.__version__)"]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = argparse.ArgumentParser("python -m benchmarks.agreement", description=__doc__)
    options.add_argument("checkpoint", type=Path)
    options.add_argument("shards", type=Path, nargs="+", help="tars of `fold prepare`, such as test-000000.tar")
    options.add_argument(
        "--python", type=os.path.abspath, action="append", default=[], help="another Python, of another ONNX Runtime"
    )
    options.add_argument("--browser", type=int, default=0, help="utterances that Chromium hears too (0)")
    options.add_argument("--number", type=int, help="utterances (all)")
    settings = options.parse_args(arguments)
    sounds = [samples for samples, _ in islice(chain.from_iterable(map(utterances, settings.shards)), settings.number)]
    with TemporaryDirectory() as folder:
        export = Export(settings.checkpoint, Path(folder), sounds)
        for line in table(export, [sys.executable, *settings.python], settings.browser):
            print(line, flush=True)


if __name__ == "__main__":
    main()

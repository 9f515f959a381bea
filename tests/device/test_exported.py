"""What `fold export --to onnx` writes says in `fold_device`, and in a browser, what `fold transcribe` says."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from browser import chromium, heard, served
from conftest import TINY_NETWORK, Finished

import fold
from fold.checkpoint import KEY, PREFIX, Description
from fold.demo.page import write_page
from fold.demo.runtime import runtime_files
from fold.errors import FoldError
from fold.models import Conformer
from fold.paths import PathSpace
from fold.text.normalise import Normaliser
from fold.text.units import CharUnits
from fold_device.cli import main
from fold_device.description import read_description

pytest.importorskip("fold.export.onnx")
pytest.importorskip("onnxscript")
DEPTHS = (1, 2, 3)  # of one layer: each takes ten seconds to trace
RATE = 16000


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """An untrained model's checkpoint, whose head is steep, so that it says something."""
    torch.manual_seed(0)
    units = CharUnits(" abcdefghij", Normaliser())
    network = Conformer(**{**TINY_NETWORK, "num_layers": 1})
    description = Description(network, PathSpace(1, 3), units, RATE, shards="nowhere")
    weights = {PREFIX + name: value for name, value in description.build().state_dict().items()}
    torch.save({KEY: description.to_dict(), "state_dict": weights}, tmp_path / "model.ckpt")
    return tmp_path / "model.ckpt"


def noises(folder: Path) -> list[Path]:
    """Sounds whose colour changes, of 0.1 to 4 s."""
    random = np.random.default_rng(0)
    files = []
    for number, seconds in enumerate((0.1, 0.5, 1.3, 2.0, 4.0)):
        noise = random.normal(scale=0.1, size=round(seconds * RATE))
        loud = 10 ** (np.interp(np.arange(len(noise)), np.linspace(0, len(noise), 12), random.normal(size=12)) / 2)
        files.append(folder / f"{number}.wav")
        soundfile.write(files[-1], np.clip(np.cumsum(noise) * 0.02 + noise * loud, -1, 1), RATE)
    return files


@dataclass
class Said:
    """An exported model, sounds, and what `fold transcribe` says they are at each depth."""

    exported: Path
    files: list[Path]
    texts: dict[int, list[str]]


@pytest.fixture
def said(checkpoint: Path, tmp_path: Path, fold_command: Callable[..., Finished]) -> Said:
    exported, files = tmp_path / "exported", noises(tmp_path)
    fold_command("export", "--to=onnx", "--ckpt_path", checkpoint, "--output", exported, "--storage=fp32")
    model = fold.load(checkpoint, device="cpu", precision="fp32")
    texts = {depth: [model.transcribe(file, depth) for file in files] for depth in DEPTHS}
    assert len({tuple(found) for found in texts.values()}) == len(DEPTHS)
    return Said(exported, files, texts)


def test_transcripts_are_those_of_fold(said: Said, capfd: pytest.CaptureFixture[str]) -> None:
    for depth, texts in said.texts.items():
        capfd.readouterr()
        assert main(["transcribe", str(said.exported), *map(str, said.files), "--depth", str(depth)]) == 0
        assert [line.split("\t")[1] for line in capfd.readouterr().out.splitlines()] == texts


@pytest.mark.slow  # fetches ONNX Runtime for browsers; `.ci/run` runs it
def test_transcripts_in_a_browser_are_those_of_fold(said: Said, tmp_path: Path) -> None:
    page = tmp_path / "page"
    try:
        write_page(read_description(said.exported), page, runtime_files(), [])
    except FoldError as error:
        pytest.skip(str(error))
    for file in said.files:
        shutil.copy(file, page)
    with served(page) as address, chromium() as browser:
        browser.get(address)
        for depth, texts in said.texts.items():
            assert heard(browser, [file.name for file in said.files], depth) == texts

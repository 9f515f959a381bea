"""Every example runs, on a model that was never trained."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
import torch
from audio_files import speech
from conftest import REPOSITORY, TINY_NETWORK

from fold.checkpoint import KEY, PREFIX, Description
from fold.models import Conformer
from fold.paths import PathSpace
from fold.text.units import CharUnits

EXAMPLES = REPOSITORY / "examples"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a model and recordings lie as the examples look for them."""
    folder = tmp_path_factory.mktemp("examples")
    torch.manual_seed(0)
    description = Description(Conformer(**TINY_NETWORK), PathSpace(2), CharUnits(" abcd"), 8000, shards="nowhere")
    weights = {PREFIX + name: value for name, value in description.build().state_dict().items()}
    file = folder / "runs" / "conformer_fold" / "latest" / "checkpoints" / "last.ckpt"
    file.parent.mkdir(parents=True)
    torch.save({KEY: description.to_dict(), "state_dict": weights}, file)
    (folder / "recordings").mkdir()
    lines = []
    for number in range(2):
        recording = folder / "recordings" / f"{number}.wav"
        soundfile.write(recording, speech(1.0, 8000, number), 8000)
        recording.with_suffix(".txt").write_text("a b c\n")
        lines.append(f"{recording}\ta b c")
    (folder / "list.tsv").write_text("\n".join(lines) + "\n")
    return folder


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("script", "arguments"),
    [("transcribe.py", ["recordings/0.wav"]), ("wer_by_depth.py", ["list.tsv", "wer.png"]), ("path_as_module.py", [])],
)
def test_a_script_speaks_of_every_depth(folder: Path, script: str, arguments: list[str]) -> None:
    checkpoint = "runs/conformer_fold/latest/checkpoints/last.ckpt"
    printed = run(folder, str(EXAMPLES / script), checkpoint, *arguments)
    assert [f"depth {depth}:" in printed for depth in (2, 3, 4)] == [True] * 3
    assert script != "wer_by_depth.py" or (folder / "wer.png").stat().st_size > 1000


def test_the_lines_of_the_readme_run(folder: Path) -> None:
    [lines] = re.findall(r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.S)
    assert len([line for line in lines.splitlines() if line]) <= 5
    shutil.copy(folder / "recordings" / "0.wav", folder / "a.wav")
    (folder / "readme.py").write_text(lines)
    printed = run(folder, "readme.py").splitlines()
    assert [line.split()[0] for line in printed] == ["2", "3", "4"]


def test_the_notebook_runs_from_its_first_cell_to_its_last(folder: Path) -> None:
    notebook = json.loads((EXAMPLES / "depths.ipynb").read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] for cell in code)  # which differ from one model to the next
    (folder / "notebook.py").write_text("\n".join("".join(cell["source"]) for cell in code))
    printed = run(folder, "-c", "import matplotlib; matplotlib.use('agg'); exec(open('notebook.py').read())")
    assert "2 1-2" in printed and "4 1-1-2-2" in printed


def test_the_scripts_are_short() -> None:
    scripts = list(EXAMPLES.glob("*.py"))
    assert len(scripts) >= 3
    assert all(len(script.read_text().splitlines()) <= 45 for script in scripts)

"""Architectures of others are trained and loaded again, or refused before training."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY, TINY_NETWORK

from fold.checkpoint import Description
from fold.errors import FoldError
from fold.models import Conformer
from fold.models.asr import ARCHITECTURES
from fold.paths import PathSpace
from fold.registry import pack_fields
from fold.report.record import read_record
from fold.text.units import CharUnits

MINE = '''
from dataclasses import dataclass
from fold.models import Conformer

@dataclass(frozen=True)
class Mine(Conformer):
    """Somebody's own."""

    extra: tuple[int, ...] = (1, 2)
'''
ENTRY_POINTS = "[fold.architectures]\nmine = mine:Mine\n"
SWEEP = ("sweep", "--ckpt_path=run/checkpoints/last.ckpt", "--output=out", "--paths_per_depth=0")


def run(folder: Path, *arguments: str, code: str = "") -> subprocess.CompletedProcess[str]:
    """A fold command in a process of its own, to which `mine` is at hand, after some code."""
    environment = {**os.environ, "PYTHONPATH": f"{folder}:{REPOSITORY / 'tests'}", "OMP_NUM_THREADS": "1"}
    script = f"import sys; {code or 'pass'}; from fold.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def test_an_architecture_of_ones_own_is_trained_and_loaded_by_another_process(
    tones_config: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    fit = ("fit", f"--config={tones_config}", "--model.network=mine.Mine", "--run_dir=run")
    shape = [f"--model.network.{n}={'null' if v is None else v}" for n, v in TINY_NETWORK.items()]
    trained = run(tmp_path, *fit, *shape)
    assert trained.returncode == 0, trained.stderr
    rows = read_record(tmp_path / "run" / "depth_sweep.json").rows  # the sweep after training loads the checkpoint

    imported = run(tmp_path, "--version", code="import mine, fold; fold.load('run/checkpoints/last.ckpt')")
    assert imported.returncode == 0, imported.stderr

    offered = tmp_path / "mine-1.0.dist-info"
    offered.mkdir()
    (offered / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (offered / "entry_points.txt").write_text(ENTRY_POINTS)
    installed = run(tmp_path, *SWEEP)
    assert installed.returncode == 0, installed.stderr
    swept = read_record(tmp_path / "out" / "depth_sweep.json").rows
    assert [row.wer for row in swept] == pytest.approx([row.wer for row in rows if row.canonical])


def test_a_name_imports_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "unheard_of.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(FoldError, match=r"no architecture unheard_of.Mine: .* nor is a module unheard_of"):
        ARCHITECTURES.find("unheard_of.Mine")
    assert "unheard_of" not in sys.modules


@pytest.mark.parametrize("name", ["os.system", "fold.checkpoint.Description", "registry", "empty_model", "", "."])
def test_what_is_no_architecture_is_not_found(name: str) -> None:
    with pytest.raises(FoldError, match="no architecture"):
        ARCHITECTURES.find(name)


def test_an_installed_package_is_found_by_the_name_it_offers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "offering.py").write_text(MINE)
    offered = tmp_path / "offering-1.0.dist-info"
    offered.mkdir()
    (offered / "METADATA").write_text("Metadata-Version: 2.1\nName: offering\nVersion: 1.0\n")
    (offered / "entry_points.txt").write_text("[fold.architectures]\nshort = offering:Mine\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = ARCHITECTURES.find("short")
    assert found.__name__ == "Mine"
    assert ARCHITECTURES.name_of(found) == "short"
    assert ARCHITECTURES.find("offering.Mine") is found  # as a checkpoint names it that is older than the offer


@dataclass(frozen=True)
class Forgetful(Conformer):
    """Comes back with other settings."""

    @classmethod
    def from_plain(cls, settings: dict[str, Any]) -> "Forgetful":
        return super().from_plain({**settings, "dim": 64})


@dataclass(frozen=True)
class Holding(Conformer):
    """Has a setting that is no plain value."""

    folder: object = Path("somewhere")


def refused(network: Conformer) -> str:
    description = Description(network, PathSpace(network.num_layers, 2), CharUnits(" abc"), 8000, "nowhere")
    with pytest.raises(FoldError) as caught:
        description.check()
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_what_could_not_be_loaded_again_is_refused() -> None:
    @dataclass(frozen=True)
    class Local(Conformer):
        pass

    class InTheScript(Conformer):
        __module__ = "__main__"

    assert "would be loaded with other settings" in refused(Forgetful(**TINY_NETWORK))
    assert "could not be loaded" in refused(Holding(**TINY_NETWORK))
    assert "could not be loaded: no architecture" in refused(Local(**TINY_NETWORK))
    assert "move the class to a module" in refused(InTheScript(**TINY_NETWORK))


def test_an_architecture_of_fold_has_its_short_name() -> None:
    network = Conformer(**TINY_NETWORK)
    assert ARCHITECTURES.name_of(type(network)) == "Conformer"
    assert ARCHITECTURES.find("Conformer").from_plain(pack_fields(network)) == network

"""The package that CONTRIBUTING.md writes out, installed outside of the repository, and used."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import REPOSITORY

from fold.report.record import read_record

BLOCK = re.compile(r'```\w+ title="([^"]+)"\n(.*?)```', re.S)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed the package."""
    source, site = tmp_path_factory.mktemp("mine"), tmp_path_factory.mktemp("site")
    for name, text in BLOCK.findall((REPOSITORY / "CONTRIBUTING.md").read_text()):
        file = source / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    install = ("install", "--quiet", "--no-deps", "--no-build-isolation", "--target", site, source)
    subprocess.run([sys.executable, "-m", "pip", *map(str, install)], check=True, timeout=120)
    (site / "mine.yaml").write_text((source / "mine.yaml").read_text())
    return site


def fold(site: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A fold command of somebody who has installed the package."""
    environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "fold", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def run(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of the experiment that uses all of it."""
    folder = tmp_path_factory.mktemp("run")
    done = fold(site, folder, "fit", f"--config={site / 'mine.yaml'}", "--run_dir=run", "--trainer.log_every_n_steps=1")
    assert done.returncode == 0, done.stderr
    return folder / "run"


def test_all_of_it_trains(run: Path) -> None:
    record = read_record(run / "depth_sweep.json")
    assert {row.depth for row in record.rows} == {2, 3, 4}
    logged = (run / "metrics.csv").read_text().splitlines()[0].split(",")
    assert "train/states" in logged
    held = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert held["fold"]["settings"]["layer"] == {"kind": "Framewise", "expansion": 3}
    assert held["method"]["sampler"] == {"kind": "Neighbours"}
    assert held["method"]["objective"]["further"]["states"]["kind"] == "StateMatching"


def test_another_process_sweeps_it(site: Path, run: Path) -> None:
    swept = fold(site, run.parent, "sweep", "--ckpt_path=run/checkpoints/last.ckpt", "--output=out")
    assert swept.returncode == 0, swept.stderr
    rows = read_record(run.parent / "out" / "depth_sweep.json").rows
    assert [row.path for row in rows if row.canonical] == ["1-2", "1-2-2", "1-1-2-2"]


def test_its_command_runs_and_is_listed(site: Path, run: Path) -> None:
    counted = fold(site, run.parent, "count", "run/checkpoints/last.ckpt")
    assert counted.stdout.splitlines() == ["2 1", "3 2", "4 1"], counted.stderr
    assert "count" in fold(site, run.parent, "--help").stdout


def test_its_export_target_writes_and_is_listed(site: Path, run: Path) -> None:
    folder = run.parent / "arrays"
    command = ("export", "--to=arrays", "--ckpt_path=run/checkpoints/last.ckpt", f"--output={folder}", "--half=true")
    done = fold(site, run.parent, *command)
    assert re.fullmatch(rf"{folder}: \d+ arrays for depths 2 to 4\n", done.stdout), done.stderr
    with np.load(folder / "weights.npz") as written:
        assert written["ctc_head.weight"].dtype == np.float16
    assert "arrays: from mine" in " ".join(fold(site, run.parent, "export", "--help").stdout.split())


def test_without_the_package_its_checkpoint_is_refused_in_one_line(run: Path, tmp_path: Path) -> None:
    done = fold(tmp_path, run.parent, "sweep", "--ckpt_path=run/checkpoints/last.ckpt")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "no kind of layer Framewise" in done.stderr


def test_a_package_that_cannot_be_loaded_is_named_in_one_line(tmp_path: Path) -> None:
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[fold.terms]\nBroken = absent.module:Broken\n")
    done = fold(tmp_path, tmp_path, "fit", "--config=debug", "--config=commands", "--run_dir=run")
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1] == (
        "fold fit: broken: the entry point Broken = absent.module:Broken cannot be loaded: No module named 'absent'"
    )

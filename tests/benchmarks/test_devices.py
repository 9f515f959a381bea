"""The benchmark of exported models: what it measures of one, and the table that it makes."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from stub_export import RATE, write_stub

from benchmarks import devices
from benchmarks.devices import Case, table


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    content = io.BytesIO()
    soundfile.write(content, np.zeros(RATE, np.float32), RATE, format="FLAC")
    with tarfile.open(tmp_path / "test.tar", "w") as tar:
        for number in range(3):
            for name, data in {"flac": content.getvalue(), "json": b'{"text": "zero"}'}.items():
                member = tarfile.TarInfo(f"{number}.{name}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return tmp_path / "test.tar"


def test_a_process_measures_an_exported_model(tmp_path: Path, shard: Path) -> None:
    folder = write_stub(tmp_path / "exported")
    known = json.loads((folder / "model.json").read_text())
    case = Case(next(iter(known["models"])), str(folder), int(next(iter(known["depths"]))), str(shard), 2)
    found = case.measure()
    assert found["factor"] > 0 and np.isfinite(found["memory"])


def test_ratios_are_of_rounds_that_ran_together(tmp_path: Path, shard: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_stub(tmp_path / "exported")
    slowness = iter(range(1, 100))

    def process(case: Case) -> dict[str, float]:
        turn = (next(slowness) - 1) // 6 + 1  # the machine slows down from round to round
        return {"memory": 10.0 + turn, "factor": turn * {"PyTorch": 0.02, "fp32": 0.01, "int8": 0.005}[case.system]}

    monkeypatch.setattr(devices, "_process", process)
    lines = [line.strip("| ").split(" | ") for line in table({"stub": folder}, shard, rounds=3, number=2)][2:]
    assert [line[2] for line in lines] == ["PyTorch", "fp32", "int8"] * 2
    assert [line[-1] for line in lines] == ["1.00", "0.50", "0.25"] * 2
    assert {line[4] for line in lines} == {"11.0"}

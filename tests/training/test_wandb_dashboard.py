"""The W&B workspace: it names every metric it shows, and fails in one line where it cannot be saved."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Finished

from fold.training.wandb_dashboard import CHARTS, metrics, patterns, workspace


def test_the_workspace_asks_for_every_metric() -> None:
    made = workspace("someone", "fold", "Depths")
    written = made._to_model().model_dump_json()
    assert all(f'{name}"' in written for name in metrics())
    assert [section.name for section in made.sections] == [*CHARTS, "Models"]
    assert all(pattern in written for pattern in patterns()) and all(map(re.compile, patterns()))


def test_without_a_login_there_is_one_line(
    fold_command: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("NETRC", str(tmp_path / "nobody"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    done = fold_command("dashboard", "--entity=someone", check=False)
    assert (done.status, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert "could not be saved to someone/fold" in done.stderr

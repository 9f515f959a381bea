"""Readers of a data loader: nothing that the training process holds stops them, and they live as long as it does."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from groups import group_lives
from tones import SAMPLE_RATE, Tones

from fold.data.datamodule import SpeechData
from fold.signals import ENDING

HEAD = """
import os, signal, sys, time
from itertools import repeat
from tones import SAMPLE_RATE, Tones
from fold.data.datamodule import SpeechData

def main():
    data = SpeechData(Tones(train=40, dev=4, test=4), SAMPLE_RATE, shards=sys.argv[1], num_workers=2, batch_seconds=2.0)
"""
HELD_LOCK = """
    os.register_at_fork(after_in_child=lambda: time.sleep(3600))  # as a lock does that another thread held
    print(len({id for batch in data.train_dataloader() for id in batch.ids}))
"""
WAITING = """
    for number in map(int, sys.argv[2:]):
        signal.signal(number, lambda *_: None)
    loader = data.train_dataloader()
    print(sum(len(batch.ids) for batch in loader), flush=True)
    for _ in repeat(None):
        sys.stdin.readline()
        print(sum(len(batch.ids) for batch in loader), flush=True)
"""
TAIL = """
if __name__ == "__main__":
    main()
"""


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    SpeechData(Tones(train=40, dev=4, test=4), SAMPLE_RATE, shards=str(folder), prepare_workers=1).prepare_data()
    return folder


@pytest.fixture
def start(shards: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a script that has `data`, in a process group of its own as a job has it, which ends with the test."""
    started = []

    def begin(body: str, *arguments: str) -> subprocess.Popen[str]:
        script = tmp_path / "script.py"
        script.write_text(HEAD + body + TAIL)
        process = subprocess.Popen(
            [sys.executable, script, shards, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if group_lives(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_lock_that_another_thread_holds_does_not_stop_readers(start: Callable[..., subprocess.Popen[str]]) -> None:
    printed, errors = start(HELD_LOCK).communicate(timeout=60)
    assert printed == "40\n", errors


def test_readers_outlive_signals_to_their_group_but_not_the_run(start: Callable[..., subprocess.Popen[str]]) -> None:
    process = start(WAITING, *(str(int(number)) for number in ENDING))
    assert process.stdout is not None and process.stdin is not None
    assert process.stdout.readline() == "40\n"
    for number in ENDING:
        os.killpg(process.pid, number)
    process.stdin.write("once more\n")
    process.stdin.flush()
    assert process.stdout.readline() == "40\n"
    process.kill()
    _, errors = process.communicate(timeout=30)
    assert "Traceback" not in errors
    end = time.monotonic() + 30
    while group_lives(process.pid):
        assert time.monotonic() < end, "a process of the killed run lives on"
        time.sleep(0.05)

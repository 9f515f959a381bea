"""`fold-device` as a process, where neither PyTorch nor fold can be imported."""

import collections
import contextlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY
from stub_export import RATE, saying

from fold_device.cli import main

Wav = Callable[..., Path]
BLOCKED = "import sys; sys.modules.update(torch=None, torchaudio=None, fold=None, lightning=None); "


def fold_device(*arguments: object) -> subprocess.CompletedProcess[str]:
    code = BLOCKED + "from fold_device.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


def test_files_are_transcribed_without_pytorch(exported: Path, wav: Wav) -> None:
    one = wav("one.wav", saying("lights on", 3))
    stereo = wav("two.flac", np.stack([saying("off", 3)] * 2, axis=1), subtype="PCM_24")
    done = fold_device("transcribe", exported, one, stereo, "--depth", 3, "--precision", "fp32")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{one}\tlights on\n{stereo}\toff\n"


def test_words_and_json(exported: Path, wav: Wav) -> None:
    file = wav("one.wav", saying("lights on"))
    words = fold_device("transcribe", exported, file, "--repeats", "1,1", "--format", "words").stdout.splitlines()
    assert [line.split("\t")[3] for line in words[1:]] == ["lights", "on"]
    found = json.loads(fold_device("transcribe", exported, file, "--depth", 2, "--format", "json").stdout)
    assert (found["text"], found["words"][1]["text"]) == ("lights on", "on")
    assert found["words"][1]["start"] == pytest.approx(21 * 0.02)


def test_another_rate_is_resampled(exported: Path, wav: Wav) -> None:
    samples = saying("on") * np.ones(1)
    file = wav("twice.wav", np.repeat(samples, 3), rate=3 * RATE)
    assert fold_device("transcribe", exported, file, "--depth", 2).stdout == f"{file}\ton\n"


def test_one_channel_is_transcribed(exported: Path, wav: Wav) -> None:
    both = np.zeros((2, max(len(saying("on")), len(saying("lights on")))))
    for row, text in zip(both, ("on", "lights on"), strict=True):
        row[: len(saying(text))] = saying(text)
    file = wav("both.wav", both.T)
    for channel, said in (("left", "on"), ("2", "lights on")):
        assert (
            fold_device("transcribe", exported, file, "--depth", 2, "--channel", channel).stdout == f"{file}\t{said}\n"
        )
    assert "no channel '3'; it has 2" in fold_device("transcribe", exported, file, "--channel", 3).stderr


def test_a_bad_file_does_not_stop_the_others(exported: Path, wav: Wav, tmp_path: Path) -> None:
    good = wav("good.wav", saying("on"))
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    odd = wav("odd.wav", np.array([0.0] * 99 + [np.inf]))
    missing, half = tmp_path / "missing.wav", tmp_path / "half.wav"
    half.write_bytes(good.read_bytes()[:-1000])
    done = fold_device("transcribe", exported, tmp_path / "bad.wav", odd, missing, half, good, "--depth", 2)
    assert done.returncode == 2
    assert done.stdout == f"{half}\ton\n{good}\ton\n"
    bad, infinite, absent, lost = done.stderr.splitlines()
    assert f"fold-device: {half}: " in lost and " are there" in lost
    assert "bad.wav: not audio" in bad
    assert "odd.wav: holds samples that are NaN or infinite, from 0.0 s on" in infinite
    assert "missing.wav: no such file" in absent


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["transcribe"], "model, files"),
        (["transcribe", "MODEL", "a.wav", "--depth", "9"], "depth 9"),
        (["transcribe", "MODEL", "a.wav", "--depth", "two"], "--depth"),
        (["transcribe", "MODEL", "a.wav", "--repeats", "1,b"], "1,b"),
        (["transcribe", "MODEL", "a.wav", "--threads", "-1"], "--threads"),
        (["transcribe", "MODEL", "a.wav", "--channel", "both"], "'both': expected mix, left, right or a number"),
        (["transcribe", "MODEL", "a.wav", "--precision", "int3"], "precision int3"),
        (["transcribe", "nowhere", "a.wav"], "nowhere: no such folder"),
        (["sing"], "sing"),
        ([], "COMMAND"),
    ],
)
def test_a_wrong_argument_is_one_line(exported: Path, arguments: list[str], named: str) -> None:
    done = fold_device(*(str(exported) if argument == "MODEL" else argument for argument in arguments))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("fold-device: ")
    assert named in done.stderr


def test_no_microphone_is_one_line(exported: Path) -> None:
    done = fold_device("listen", exported)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("fold-device: microphone: ")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_it_installs_by_itself(tmp_path: Path) -> None:
    """A wheel of the folder alone holds the package."""
    source = shutil.copytree(REPOSITORY / "fold_device", tmp_path / "fold_device")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", f"--wheel-dir={tmp_path}", str(source)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    [wheel] = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    files = {str(file.relative_to(REPOSITORY)) for file in (REPOSITORY / "fold_device").rglob("*.py")}
    assert files <= held


class FakeMicrophone:
    """In place of sounddevice: hands over what it is told, then a Ctrl-C."""

    PortAudioError = RuntimeError

    def __init__(self, samples: np.ndarray) -> None:
        self.samples = samples

    def InputStream(self, *, samplerate: int, blocksize: int, callback: Callable, **_: object):
        assert samplerate == RATE
        for begin in range(0, len(self.samples), blocksize):
            callback(self.samples[begin : begin + blocksize, None], None, None, None)
        return contextlib.nullcontext()


def test_listening_prints_an_utterance_after_its_pause(
    exported: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quiet = np.zeros(RATE, np.float32)
    heard = np.concatenate([quiet, saying("lights on"), quiet, saying("off"), quiet])
    monkeypatch.setitem(sys.modules, "sounddevice", FakeMicrophone(heard))
    told: list[str] = []

    def stop_at_the_end(*_: object, **__: object) -> str:
        told.append(capsys.readouterr().out)
        raise KeyboardInterrupt

    monkeypatch.setattr("queue.SimpleQueue", endless_queue(stop_at_the_end))
    assert main(["listen", str(exported), "--depth", "2"]) == 130
    assert told == ["microphone\tlights on\nmicrophone\toff\n"]


def endless_queue(at_the_end: Callable[[], object]) -> type:
    """A queue that, once empty, calls a function instead of waiting for ever."""

    class Queue(collections.deque):
        put = collections.deque.append

        def get(self) -> object:
            return self.popleft() if self else at_the_end()

    return Queue


def test_the_example_lowers_the_depth_under_load(exported: Path, wav: Wav) -> None:
    files = [str(wav(f"{name}.wav", saying("on", 2))) for name in "abcd"]
    example = REPOSITORY / "examples" / "adaptive_depth.py"
    source = example.read_text().replace("MOST = 0.05", "MOST = 0.0")  # any load is too much
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", source, str(exported), *files]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=environment)
    assert [line.split("\t")[1] for line in done.stdout.splitlines()] == ["depth 4", "depth 3", "depth 2", "depth 2"]
    assert done.stdout.splitlines()[-1].endswith("\ton")

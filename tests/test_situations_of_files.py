"""What people get wrong with recordings, lists and checkpoints: a line that names it, and the others are still done."""

import gzip
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from audio_files import encoded, speech, with_total, without_length
from conftest import TINY_NETWORK, Finished

from fold.checkpoint import KEY, PREFIX, Description
from fold.models import Conformer
from fold.paths import PathSpace
from fold.text.units import CharUnits

Command = Callable[..., Finished]
RATE = 8000
SPOKEN = speech(2.0, RATE)


def with_value(value: float) -> np.ndarray:
    """Speech in which one sample is no number of sound."""
    return np.concatenate([SPOKEN[:100], [value], SPOKEN[100:]]).astype(np.float32)


def in_matroska() -> bytes:
    """As a browser records it, by FFmpeg's own libraries."""
    av = pytest.importorskip("av", reason="needs FFmpeg's libraries: pip install av")
    stream = io.BytesIO()
    with av.open(stream, "w", format="webm") as container:
        opus = container.add_stream("libopus", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.float32), format="flt", layout="mono")
        frame.sample_rate = 48000
        container.mux([*opus.encode(frame), *opus.encode()])
    return stream.getvalue()


STEREO = np.stack([SPOKEN, -SPOKEN], axis=1)
WAV = encoded("wav", SPOKEN, RATE)
CONVERT = "convert it with `ffmpeg -i '"
READ: dict[str, tuple[Callable[[], bytes], str]] = {  # by name: what it holds, and what is told of it, if anything
    "plain.wav": (lambda: WAV, ""),
    "gsm.wav": (lambda: encoded("wav_gsm", SPOKEN, RATE), ""),
    "from_pipe.flac": (lambda: with_total(encoded("flac", SPOKEN, RATE), 0), ""),
    "without_length.mp3": (lambda: without_length(encoded("mp3", SPOKEN, 16000)), ""),
    "six_channels.wav": (lambda: encoded("wav", np.stack([SPOKEN] * 6, axis=1), RATE), ""),
    "anti_phase.wav": (lambda: encoded("wav", STEREO, RATE), "its 2 channels cancel each other (0% of their energy"),
    "half.wav": (lambda: WAV[: len(WAV) // 2], "1.0 s of 2.0 s are there"),
    "half.flac": (lambda: encoded("flac", SPOKEN, RATE)[:9000], " s of 2.0 s are there"),
    "half.ogg": (lambda: encoded("vorbis", SPOKEN, RATE)[:6000], "but the file ends within a page"),
}
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "nan.wav": (lambda: encoded("wav_float", with_value(np.nan), RATE), "holds samples that are NaN or infinite"),
    "infinite.wav": (lambda: encoded("wav_float", with_value(np.inf), RATE), "holds samples that are NaN or infinite"),
    "raw.pcm": (lambda: WAV[44:], "samples without a header get one by `ffmpeg -f s16le -ar 16000 -ac 1 -i '"),
    "no_audio.wav": (
        lambda: b"hello there",
        f"not audio that libsndfile reads (Format not recognised.); if it can be played, {CONVERT}",
    ),
    "phone.m4a": (lambda: b"\0\0\0\x20ftypM4A \0\0\0\0", f"MP4 or M4A, a format that is not read; {CONVERT}"),
    "browser.webm": (in_matroska, f"WebM or Matroska, a format that is not read; {CONVERT}"),
    "message.amr": (lambda: b"#!AMR\n\x3c", f"AMR, a format that is not read; {CONVERT}"),
    "page.wav": (lambda: b"<!DOCTYPE html><html>404</html>", "a web page, not audio; its download failed"),
    "pointer.wav": (lambda: b"version https://git-lfs.github.com/spec/v1\n", "a pointer of git-lfs, not the recording"),
    "packed.wav": (lambda: gzip.compress(WAV), "a gzip archive, not audio; unpack it"),
    "empty.wav": (lambda: b"", "an empty file"),
}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    description = Description(Conformer(**TINY_NETWORK), PathSpace(2), CharUnits("é€ab "), 8000, shards="nowhere")
    torch.manual_seed(3)
    model = description.build()
    torch.nn.init.constant_(model.ctc_head.bias[2:3], 9)  # so that it says é
    weights = {PREFIX + name: value for name, value in model.state_dict().items()}
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    file = tmp_path / "run" / "checkpoints" / "last.ckpt"
    torch.save({KEY: description.to_dict(), "state_dict": weights}, file)
    return file


@pytest.fixture
def sounds(tmp_path: Path) -> list[Path]:
    files = [tmp_path / f"{number}.wav" for number in range(4)]
    for seed, file in enumerate(files):
        soundfile.write(file, speech(1.0, 8000, seed), 8000)
    return files


def test_a_run_folder_for_a_checkpoint(checkpoint: Path, sounds: list[Path], fold_command: Command) -> None:
    done = fold_command("transcribe", "--ckpt_path=run", sounds[0], check=False)
    assert done.status == 2 and done.stderr.endswith("run: a folder; of this run it is run/checkpoints/last.ckpt\n")


def test_a_reader_that_goes_away(checkpoint: Path, sounds: list[Path]) -> None:
    """As in `fold transcribe ... | head -1`."""
    command = [sys.executable, "-m", "fold", "transcribe", "--ckpt_path", checkpoint, *sounds]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout and process.stderr
    process.stdout.readline()
    process.stdout.close()
    assert (process.wait(timeout=120), process.stderr.read()) == (141, "")


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_a_reader_that_was_never_there(option: str) -> None:
    """As in `fold --help | true`."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as gone:
        done = subprocess.run([sys.executable, "-m", "fold", option], stdout=gone, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_terminal_that_has_ascii_alone(checkpoint: Path, sounds: list[Path]) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    command = [sys.executable, "-m", "fold", "transcribe", "--ckpt_path", checkpoint, *sounds]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\x" in done.stdout or "\\u" in done.stdout


def test_a_full_disk(checkpoint: Path, sounds: list[Path]) -> None:
    command = [sys.executable, "-m", "fold", "transcribe", "--ckpt_path", checkpoint, sounds[0]]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 2 and done.stderr == "fold transcribe: No space left on device\n"


@pytest.mark.parametrize("name", [*READ, *REFUSED])
def test_recordings(name: str, checkpoint: Path, fold_command: Command, tmp_path: Path) -> None:
    """Each is transcribed, or refused in a line, and the one after it is transcribed all the same."""
    content, told = (READ | REFUSED)[name]
    (tmp_path / name).write_bytes(content())
    (tmp_path / "good.wav").write_bytes(WAV)
    done = fold_command("transcribe", f"--ckpt_path={checkpoint}", name, "good.wav", check=False)
    lines = [line for line in done.stderr.splitlines() if line.startswith(f"fold transcribe: {name}: ")]
    assert len(lines) == bool(told) and all(told in line for line in lines), done.stderr
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == [*[name] * (name in READ), "good.wav"]
    assert done.status == (2 if name in REFUSED else 0) and "Traceback" not in done.stderr


LISTS: dict[str, tuple[bytes, str]] = {  # what a list of training recordings holds, and what the one line does
    "Latin-1": ("audio\ttext\na.wav\tGröße".encode("latin-1"), "train.tsv:2: not UTF-8: save it as UTF-8"),
    "UTF-16": ("audio\ttext\na.wav\tja".encode("utf-16"), "train.tsv:1: not UTF-8, but UTF-16: save it as UTF-8"),
    "UTF-16 without its mark": (
        "audio\ttext\na.wav\tja".encode("utf-16-le"),
        "train.tsv:1: no column 'audio'; there are: a\\x00",
    ),
    "an old Mac's lines": (b"audio\ttext\ra.wav\tyes", "train.tsv:1: no column 'text'; there are: audio, text\\ra.wav"),
    "commas": (b"audio,text\na.wav,yes", "train.tsv:1: no column 'audio'; there are: audio,text"),
    "no first line": (b"a.wav\tyes", "train.tsv:1: no column 'audio'; there are: a.wav, yes"),
    "a column too many": (b"audio\ttext\na.wav\tyes\tno", "train.tsv:2: 3 columns between tabs, the first line has 2"),
    "no text": (b"audio\ttext\na.wav\t", "train.tsv:2: empty text"),
    "no recording": (b"audio\ttext\nb.wav\tyes", "train.tsv:2: there is no recording "),
    "a recording of the test": (
        b"audio\ttext\ntest.wav\tyes",
        "test.tsv:2: the recording test.wav is in train.tsv already",
    ),
    "nothing that is spoken": (b"audio\ttext\na.wav\t!?", "nothing is left of the transcript of 'a-"),
    "nothing": (b"", "the split 'train' has no utterances"),
    "no audio": (
        b"audio\ttext\ntrain.tsv\tyes",
        "1 recordings cannot be used: train.tsv: not audio that libsndfile reads",
    ),
    "silence": (b"audio\ttext\nsilent.wav\tyes", "1 recordings cannot be used: silent.wav: silent"),
    "half a recording": (
        b"audio\ttext\nhalf.wav\tyes",
        "half.wav: 1.0 s of 2.0 s are there; mend it, leave it out, or set",
    ),
}


@pytest.mark.parametrize("kind", LISTS)
def test_lists(kind: str, fold_command: Command, tmp_path: Path) -> None:
    for name in ("a", "dev", "test"):
        (tmp_path / f"{name}.wav").write_bytes(WAV)
        (tmp_path / f"{name}.tsv").write_text(f"audio\ttext\n{name}.wav\tyes")
    (tmp_path / "half.wav").write_bytes(WAV[: len(WAV) // 2])
    (tmp_path / "silent.wav").write_bytes(encoded("wav", np.zeros_like(SPOKEN), RATE))
    (tmp_path / "train.tsv").write_bytes(LISTS[kind][0])
    done = fold_command("prepare", "--config=manifest", "--data.root=.", "--data.prepare_workers=1", check=False)
    [line] = done.stderr.splitlines()
    assert done.status == 2 and line.startswith("fold prepare: ") and LISTS[kind][1] in line, line

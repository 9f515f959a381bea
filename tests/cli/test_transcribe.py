"""`fold transcribe`: any audio file to text at a chosen depth."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from audio_files import speech
from conftest import TINY_NETWORK, Finished

from fold.checkpoint import KEY, PREFIX, Description
from fold.models import Conformer
from fold.paths import PathSpace
from fold.text.units import CharUnits

Command = Callable[..., Finished]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """An untrained model's checkpoint."""
    torch.manual_seed(0)
    description = Description(Conformer(**TINY_NETWORK), PathSpace(2), CharUnits("ab "), 8000, shards="nowhere")
    weights = {PREFIX + name: value for name, value in description.build().state_dict().items()}
    torch.save({KEY: description.to_dict(), "state_dict": weights}, tmp_path / "model.ckpt")
    return tmp_path / "model.ckpt"


@pytest.mark.parametrize(("rate", "seconds", "channels"), [(8000, 1.0, 1), (44100, 0.7, 2), (16000, 0.001, 1)])
def test_any_rate_length_and_channels(
    checkpoint: Path, fold_command: Command, tmp_path: Path, rate: int, seconds: float, channels: int
) -> None:
    sound = np.stack([speech(seconds, rate)] * channels, axis=1)
    soundfile.write(tmp_path / "a.wav", sound, rate)
    soundfile.write(tmp_path / "b.flac", sound, rate)
    done = fold_command("transcribe", "--ckpt_path", checkpoint, "--depth", 3, tmp_path / "a.wav", tmp_path / "b.flac")
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [Path(name).name for name, _ in lines] == ["a.wav", "b.flac"]
    assert all(bool(text) == (seconds > 0.1) for _, text in lines)


def test_a_depth_is_its_canonical_path(checkpoint: Path, fold_command: Command, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", speech(2.0, 8000, 1), 8000)
    by_depth = fold_command("transcribe", "--ckpt_path", checkpoint, "--depth", 4, tmp_path / "a.wav")
    by_path = fold_command("transcribe", "--ckpt_path", checkpoint, "--path", "1-1-2-2", tmp_path / "a.wav")
    assert by_depth.stdout == by_path.stdout != f"{tmp_path}/a.wav\t\n"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--depth", 9], "depth 9"),
        (["--path", "1-3"], "path 1-3"),
        (["--path", "one"], "path 'one'"),
        (["--path", "1-2-1"], "path 1-2-1"),
        (["--path", "1-1-1-1-1-1-1-1-2"], "path 1-1-1-1-1-1-1-1-2"),
        (["--depth", 3, "--path", "1-2"], "exclude"),
    ],
)
def test_bad_depth_or_path_is_one_line(
    checkpoint: Path, fold_command: Command, tmp_path: Path, options: list, named: str
) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(8000), 8000)
    done = fold_command("transcribe", "--ckpt_path", checkpoint, *options, tmp_path / "a.wav", check=False)
    assert done.status == 2
    assert done.stderr.count("\n") == 1
    assert named in done.stderr


@pytest.mark.parametrize(("content", "named"), [(b"this is no audio", "not audio"), (None, "no such file")])
def test_bad_audio_is_one_line(
    checkpoint: Path, fold_command: Command, tmp_path: Path, content: bytes | None, named: str
) -> None:
    file = tmp_path / "x.wav"
    if content is not None:
        file.write_bytes(content)
    done = fold_command("transcribe", "--ckpt_path", checkpoint, file, check=False)
    assert done.status == 2
    assert done.stderr.count("\n") == 1
    assert "x.wav" in done.stderr
    assert named in done.stderr


def test_bad_checkpoint_is_one_line(fold_command: Command, tmp_path: Path) -> None:
    (tmp_path / "bad.ckpt").write_bytes(b"PK\x03\x04 truncated")
    done = fold_command("transcribe", "--ckpt_path", tmp_path / "bad.ckpt", "a.wav", check=False)
    assert done.status == 2
    assert done.stderr.count("\n") == 1
    assert "bad.ckpt" in done.stderr


def test_a_bad_file_among_many_is_told_and_the_others_are_done(
    checkpoint: Path, fold_command: Command, tmp_path: Path
) -> None:
    sound = np.stack([speech(2.0, 8000, seed) for seed in (1, 2)], axis=1)
    soundfile.write(tmp_path / "a.wav", sound, 8000)
    soundfile.write(tmp_path / "z.wav", sound, 8000)
    (tmp_path / "half.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:30000])
    (tmp_path / "b.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    names = ("a.wav", "missing.wav", "b.m4a", "half.wav", "z.wav")
    done = fold_command("transcribe", "--ckpt_path", checkpoint, *(tmp_path / n for n in names), check=False)
    assert [Path(line.split("\t")[0]).name for line in done.stdout.splitlines()] == ["a.wav", "half.wav", "z.wav"]
    assert done.status == 2
    [missing, foreign, half, last] = done.stderr.splitlines()
    assert missing == f"fold transcribe: {tmp_path / 'missing.wav'}: no such file"
    assert "b.m4a: MP4 or M4A" in foreign and "ffmpeg" in foreign
    assert "half.wav: 0.9 s of 2.0 s are there" in half
    assert last == "fold transcribe: 2 of 5 files failed, as told above; the others are done"


def test_one_channel_is_transcribed(checkpoint: Path, fold_command: Command, tmp_path: Path) -> None:
    left, right = (speech(2.0, 8000, seed) for seed in (1, 2))
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), 8000)
    soundfile.write(tmp_path / "left.wav", left, 8000)
    command = ("transcribe", "--ckpt_path", checkpoint)
    by_name, mono = (
        fold_command(*command, *arguments).stdout.split("\t")[1]
        for arguments in (("--channel=left", tmp_path / "a.wav"), (tmp_path / "left.wav",))
    )
    assert by_name == mono != "\n"
    done = fold_command(*command, "--channel=3", tmp_path / "a.wav", check=False)
    assert done.status == 2 and "no channel '3'; it has 2, expected mix or 1 to 2" in done.stderr

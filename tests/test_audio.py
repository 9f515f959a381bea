"""Reading audio files."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from audio_files import FORMATS, RATE, encoded, flipped, speech, with_data_size, with_total, without_length

from fold.audio import Audio, fft_length, read_audio
from fold.errors import FoldError
from fold_device.audio import BLOCK, read_blocks

SECONDS = 6.0
WHOLE = speech(SECONDS)


@cache
def whole_file(name: str) -> bytes:
    return encoded(name, WHOLE)


def read(content: bytes, tmp_path: Path, **settings: object) -> Audio:
    (tmp_path / "a.audio").write_bytes(content)
    return read_audio(tmp_path / "a.audio", **settings)


def refusal(content: bytes, tmp_path: Path, **settings: object) -> str:
    with pytest.raises(FoldError) as error:
        read(content, tmp_path, **settings)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_channels_are_averaged_or_chosen(tmp_path: Path) -> None:
    left, right = np.full(100, 0.5), np.full(100, -0.25)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), 8000, subtype="FLOAT")
    for channel, value in {"mix": 0.125, "left": 0.5, "right": -0.25, 1: 0.5, 2: -0.25}.items():
        samples, sample_rate, _ = read_audio(tmp_path / "a.wav", channel=channel)
        assert sample_rate == 8000
        np.testing.assert_allclose(samples, np.full(100, value))
    for channel in (0, 3):
        with pytest.raises(FoldError, match=rf"a.wav: no channel '{channel}'; it has 2, expected mix or 1 to 2"):
            read_audio(tmp_path / "a.wav", channel=channel)


@pytest.mark.parametrize(("sign", "flawed"), [(-1, True), (0, False), (1, False)])
def test_channels_that_cancel_each_other_are_told(sign: int, flawed: bool, tmp_path: Path) -> None:
    sound = speech(1.0)
    soundfile.write(tmp_path / "a.wav", np.stack([sound, sign * sound], axis=1), RATE)
    flaws = read_audio(tmp_path / "a.wav").flaws
    assert [flaw.reason for flaw in flaws] == flawed * [
        "its 2 channels cancel each other (0% of their energy is left in the mix)"
    ]
    assert not read_audio(tmp_path / "a.wav", channel="left").flaws


@pytest.mark.parametrize("offset", [0.0, 0.1])
def test_channels_that_cancel_each_other_in_a_part_are_told(offset: float, tmp_path: Path) -> None:
    """Also where a constant is in both, which no mean takes away."""
    sound = speech(12.0)
    parts = np.where(np.arange(len(sound)) < len(sound) / 2, 1, -1)
    soundfile.write(tmp_path / "a.wav", np.stack([sound + offset, parts * sound + offset], axis=1), RATE)
    [flaw] = read_audio(tmp_path / "a.wav").flaws
    seconds = re.fullmatch(r"its 2 channels cancel each other in (\d.\d) of its 12.0 s", flaw.reason)
    assert seconds and 4 <= float(seconds[1]) <= 6  # in whole blocks
    soundfile.write(tmp_path / "b.wav", np.stack([sound + offset, -sound + offset], axis=1), RATE)
    [flaw] = read_audio(tmp_path / "b.wav").flaws
    assert "(0% of their energy is left in the mix)" in flaw.reason


def test_independent_channels_do_not_cancel_each_other(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(scale=0.1, size=(RATE, 8))
    soundfile.write(tmp_path / "a.wav", noise, RATE)
    assert not read_audio(tmp_path / "a.wav").flaws


@pytest.mark.parametrize("rate", [8000, 44100])
def test_resampling_by_blocks_is_that_of_the_whole(tmp_path: Path, rate: int) -> None:
    sound = np.random.default_rng(0).normal(scale=0.1, size=2 * BLOCK + 77).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", sound, rate, subtype="FLOAT")
    samples, sample_rate, _ = read_audio(tmp_path / "a.wav", 16000)
    whole = soxr.resample(sound, rate, 16000)
    assert sample_rate == 16000 and abs(len(samples) - len(whole)) <= 1
    np.testing.assert_allclose(samples[: len(whole)], whole[: len(samples)], atol=1e-4)


def test_a_file_may_hold_no_samples(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 8000)
    for rate in (None, 16000):
        assert read_audio(tmp_path / "empty.wav", rate)[0].shape == (0,)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_read_whole_and_as_itself(name: str, tmp_path: Path) -> None:
    samples, sample_rate, flaws = read(whole_file(name), tmp_path)
    assert (sample_rate, flaws) == (RATE, ())
    assert 0 <= len(samples) - len(WHOLE) < 1152  # a codec fills its last frame
    assert np.corrcoef(samples[: len(WHOLE)], WHOLE)[0, 1] > 0.9


def test_reading_comes_to_an_end(tmp_path: Path) -> None:
    """Of a format of samplers, too, in which libsndfile itself looks for the end of the file."""
    soundfile.write(tmp_path / "a.sds", speech(0.5), RATE, format="SDS", subtype="PCM_16")
    code = f"from fold.audio import read_audio; print(len(read_audio({str(tmp_path / 'a.sds')!r}).samples))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == f"{RATE // 2}\n"


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_half_a_download_is_told_and_invents_nothing(name: str, share: float, tmp_path: Path) -> None:
    content = whole_file(name)
    whole = read(content, tmp_path).samples
    try:
        samples, _, flaws = read(content[: int(share * len(content))], tmp_path)
    except FoldError as error:
        assert name == "caf" and "malformed" in str(error)
        return
    [flaw] = flaws
    assert 1 - share - 0.1 < flaw.lost
    assert len(samples) < (share + 0.05) * len(whole)
    steady = max(0, len(samples) - 4096)  # a codec ends in what would have been
    np.testing.assert_allclose(samples[:steady], whole[:steady], atol=1e-3)


@pytest.mark.parametrize("name", ["flac", "vorbis", "opus"])
def test_damage_that_costs_sound_is_told(name: str, tmp_path: Path) -> None:
    samples, _, flaws = read(flipped(encoded(name, speech(12.0)), 0.5), tmp_path)
    [flaw] = flaws
    assert flaw.lost == pytest.approx(1 - len(samples) / (12 * RATE), abs=0.01) and flaw.lost > 0.01


def test_an_mp3_without_a_length_is_read_to_its_end(tmp_path: Path) -> None:
    lameenc = pytest.importorskip("lameenc")
    encoder = lameenc.Encoder()
    encoder.set_in_sample_rate(RATE)
    encoder.set_channels(1)
    encoder.set_vbr(4)
    encoder.silence()
    quiet_then_loud = np.concatenate([np.zeros(5 * RATE, np.float32), speech(15.0)])
    content = bytes(encoder.encode((quiet_then_loud * 32767).astype("<i2").tobytes()) + encoder.flush())
    assert b"Xing" not in content
    samples, _, flaws = read(content, tmp_path)
    assert len(samples) == pytest.approx(20 * RATE, abs=0.2 * RATE) and not flaws
    assert read(content[: len(content) // 2], tmp_path).flaws[0].lost == 1.0  # how much, nobody can tell


def test_a_stream_of_mp3_frames_has_the_sound_of_the_file(tmp_path: Path) -> None:
    content = encoded("mp3", WHOLE)
    samples, _, flaws = read(without_length(content), tmp_path)
    assert not flaws
    assert len(samples) == pytest.approx(len(WHOLE), abs=2 * 1152)


def test_joined_mp3_files_are_read_to_the_end(tmp_path: Path) -> None:
    samples, _, flaws = read(encoded("mp3", speech(3.0)) + encoded("mp3", speech(5.0, seed=1)), tmp_path)
    assert len(samples) == pytest.approx(8 * RATE, abs=0.3 * RATE) and not flaws


STEREO = np.stack([speech(8.0), speech(8.0, seed=1)], axis=1)
IMAGE = b"ID3\x03\0\0\0\0\x10\0" + b"\xff\xfb\x90\0" * 512
"""A tag whose content looks like frames, but none follows another."""


@pytest.mark.parametrize("cut", [lambda mp3: mp3, without_length], ids=["with a length", "without"])
@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        ((speech(2.0), RATE), (STEREO, RATE), "16000 Hz, stereo"),
        ((STEREO[: 2 * RATE], RATE), (speech(8.0), RATE), "16000 Hz, mono"),
        ((speech(2.0, 24000), 24000), (speech(8.0, 22050), 22050), "22050 Hz, mono"),
    ],
)
def test_an_mp3_file_that_goes_on_as_another_kind_is_told(
    first: tuple[np.ndarray, int], second: tuple[np.ndarray, int], kind: str, cut: Callable, tmp_path: Path
) -> None:
    """FFmpeg reads such joined files to their end; libsndfile ends where the kind changes, and says nothing."""
    for tag in (b"", IMAGE):
        audio = read(cut(encoded("mp3", *first)) + tag + encoded("mp3", *second), tmp_path)
        assert len(audio.samples) / audio.sample_rate == pytest.approx(2.0, abs=0.2)
        [flaw] = audio.flaws
        assert flaw.reason == f"2.1 s are there, then another kind of sound follows ({kind}, layer 3)"
        assert flaw.lost > 0.5
    whole = cut(encoded("mp3", *first))
    assert not read(whole + IMAGE + whole, tmp_path).flaws


def test_an_mp3_header_that_counts_too_few_frames_is_told(tmp_path: Path) -> None:
    content = whole_file("mp3")
    place = content.index(b"Xing") + 8
    few = int.from_bytes(content[place : place + 4]) // 2
    [flaw] = read(content[:place] + few.to_bytes(4) + content[place + 4 :], tmp_path).flaws
    assert "more follows than its header tells of" in flaw.reason and flaw.lost > 0.3


@pytest.mark.parametrize("name", ["vorbis", "opus"])
def test_joined_ogg_files_are_told(name: str, tmp_path: Path) -> None:
    [flaw] = read(encoded(name, speech(3.0)) + encoded(name, speech(2.0)), tmp_path).flaws
    assert flaw == ("3.0 s are there, but another recording follows in the same file", 1.0)


@pytest.mark.parametrize("tag", [b"TAG" + bytes(125), b"APETAGEX" + bytes(4) + b"\x20" + bytes(19)])
def test_tags_are_no_sound(tag: bytes, tmp_path: Path) -> None:
    content = encoded("mp3", WHOLE)
    for whole in (content, without_length(content)):
        np.testing.assert_array_equal(read(whole + tag, tmp_path).samples, read(whole, tmp_path).samples)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFF000])
def test_a_wav_file_from_a_pipe_is_read_to_its_end(size: int, tmp_path: Path) -> None:
    samples, _, flaws = read(with_data_size(encoded("wav", WHOLE), size), tmp_path)
    assert (len(samples), flaws) == (len(WHOLE), ())


def test_a_wav_header_that_tells_of_less_than_there_is_told(tmp_path: Path) -> None:
    [flaw] = read(with_data_size(encoded("wav", WHOLE), RATE), tmp_path).flaws
    assert flaw.lost == pytest.approx(1 - 0.5 / SECONDS, abs=0.01)


def test_other_parts_of_a_wav_file_are_no_sound(tmp_path: Path) -> None:
    for extra in (b"LIST\x06\x00\x00\x00INFOab", b"LIST\x05\x00\x00\x00INFOa\x00id3 \x02\x00\x00\x00xx"):
        samples, _, flaws = read(encoded("wav", WHOLE) + extra, tmp_path)
        assert (len(samples), flaws) == (len(WHOLE), ())


@pytest.mark.parametrize("total", [0, RATE, 100 * RATE])
def test_a_flac_header_is_not_believed(total: int, tmp_path: Path) -> None:
    samples, _, flaws = read(with_total(encoded("flac", WHOLE), total), tmp_path)
    assert len(samples) == len(WHOLE)
    assert [round(flaw.lost, 2) for flaw in flaws] == ([0.94] if total > len(WHOLE) else [])


@pytest.mark.parametrize(
    ("content", "warned"),
    [
        (without_length(encoded("mp3", WHOLE)), ""),
        (with_data_size(encoded("wav", WHOLE), 0), ""),
        (with_total(encoded("flac", WHOLE), 0), ""),
        (encoded("mp3", WHOLE) * 2, ""),
        (encoded("wav", WHOLE)[: len(WHOLE)], "s are there"),
        (encoded("flac", WHOLE)[:9000], "s are there"),
        (encoded("wav", np.stack([WHOLE, -WHOLE], axis=1)), "its 2 channels cancel each other"),
    ],
)
@pytest.mark.parametrize("rate", [RATE, 8000])
def test_devices_hear_block_by_block_what_is_heard_here(
    content: bytes, warned: str, rate: int, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    (tmp_path / "a").write_bytes(content)
    blocks = list(read_blocks(tmp_path / "a", rate))
    assert len(blocks) > 1 or warned or rate != RATE
    whole = read_audio(tmp_path / "a", rate)
    np.testing.assert_array_equal(np.concatenate(blocks), whole.samples)
    assert [str(warning.message) for warning in recwarn] == [f"{tmp_path}/a: {flaw.reason}" for flaw in whole.flaws]
    assert bool(warned) == bool(whole.flaws) and all(warned in flaw.reason for flaw in whole.flaws)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_refused(value: float, tmp_path: Path) -> None:
    sound = WHOLE.copy()
    sound[5 * RATE] = value
    assert "holds samples that are NaN or infinite, from 4.1 s on" in refusal(encoded("wav_float", sound), tmp_path)
    assert "NaN or infinite" in refusal(encoded("wav_float", sound), tmp_path, sample_rate=8000)


def test_a_pipe_is_read_as_a_file(tmp_path: Path) -> None:
    for name in ("flac", "wav_gsm", "mp3"):
        os.mkfifo(tmp_path / name)
        content = encoded(name, WHOLE)
        writer = threading.Thread(target=(tmp_path / name).write_bytes, args=(content,))
        writer.start()
        np.testing.assert_array_equal(read_audio(tmp_path / name).samples, read(content, tmp_path).samples)
        writer.join()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no such file"),
        (b"", "an empty file"),
        (b"no audio", r"not audio that libsndfile reads \(.*\)"),
        (b"RIFF", "not audio"),
        (b"\0\0\0\x20ftypM4A \0\0\0\0", "MP4 or M4A, a format that is not read; convert it with `ffmpeg -i "),
        (b"\x1aE\xdf\xa3\x9f", "WebM or Matroska, .* `ffmpeg -i "),
        (b"\n<!DOCTYPE html><html>", "a web page, not audio"),
        (b"version https://git-lfs.github.com/spec/v1", "a pointer of git-lfs"),
    ],
)
def test_bad_files_are_named(content: bytes | None, reason: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "bad.raw").write_bytes(content)  # a name that must not decide
    with pytest.raises(FoldError, match=rf"bad.raw: {reason}"):
        read_audio(tmp_path / "bad.raw")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a.raw", "samples without a header get one by `ffmpeg -f s16le -ar 16000 -ac 1 -i '"),
        ("a.ac3", "if it can be played, convert it with `ffmpeg -i '"),
    ],
)
def test_what_is_of_no_known_kind_can_be_converted(name: str, told: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes((0.3 * WHOLE * 32767).astype("<i2").tobytes())
    with pytest.raises(FoldError) as caught:
        read_audio(tmp_path / name)
    assert f"; {told}{tmp_path}/{name}' '{tmp_path}/{name}.wav'`" in str(caught.value)


def test_folders_and_unreadable_headers_are_named(tmp_path: Path) -> None:
    with pytest.raises(FoldError, match="a folder; expected an audio file"):
        read_audio(tmp_path)
    assert "a sample rate of 3 Hz cannot be" in refusal(encoded("wav", WHOLE, 3), tmp_path)


def test_lengths_of_transforms_are_little_longer_and_without_large_primes() -> None:
    for least in range(1, 3000):
        odd = length = fft_length(least)
        while odd % 2 == 0:
            odd //= 2
        assert odd in (1, 3, 5)
        assert least <= length <= max(4, 4 * least / 3)

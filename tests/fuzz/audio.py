"""Mutated audio files of every claimed format, read by fold and by FFmpeg (through PyAV)."""

from __future__ import annotations

import io
import random
from functools import cache
from pathlib import Path

import av
import numpy as np
from audio_files import FORMATS, encoded, speech
from torture.mutations import DAMAGES

from fold.audio import read_audio
from fuzz import Findings

SECONDS = 2.0
LONGEST_FRAME = 4608  # samples, of a codec and its delay
CODED = {"vorbis", "opus", "mp3", "wav_gsm", "wav_ms_adpcm"}  # of which two decoders do not give the same bits


@cache
def whole(name: str) -> bytes:
    return encoded(name, speech(SECONDS))


@cache
def of_another_kind(name: str) -> bytes:
    """A file of the same format with two channels."""
    return encoded(name, np.stack([speech(SECONDS), speech(SECONDS, seed=1)], axis=1))


def damaged(content: bytes, dice: random.Random) -> bytes:
    """As a bad disk, a broken connection, or another program would leave it."""
    kind = dice.randrange(8)
    if kind == 0:  # a number of the header, at an extreme
        place = dice.randrange(min(len(content), 128))
        value = dice.choice((b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0\0\0\1", b"\1\0\0\0", b"\0\x80\0\0"))
        return content[:place] + value + content[place + 4 :]
    if kind == 1:  # a bit of the header
        place = dice.randrange(min(len(content), 64))
        return content[:place] + bytes([content[place] ^ 1 << dice.randrange(8)]) + content[place + 1 :]
    if kind == 2:
        return content + dice.randbytes(dice.randrange(1, 3000))
    return bytes(dice.choice(DAMAGES)(bytearray(content), dice))


def second_opinion(content: bytes) -> tuple[np.ndarray, int] | None:
    """(samples,) of the mean of the channels, and their rate, by FFmpeg; None if that finds fault with the file."""
    blocks, rate = [], 0
    try:
        with av.open(io.BytesIO(content)) as container:
            resamplers: dict[tuple[int, str], av.AudioResampler] = {}  # by kind, which one file may change
            for packet in container.demux(container.streams.audio[0]):
                if packet.is_corrupt:
                    return None
                for frame in packet.decode():
                    if frame.is_corrupt:
                        return None
                    rate = rate or frame.sample_rate
                    kind = frame.sample_rate, frame.layout.name
                    # To flt: PyAV reads past the end of planes beyond the eighth.
                    resampler = resamplers.setdefault(kind, av.AudioResampler(format="flt", rate=rate))
                    for part in resampler.resample(frame):
                        blocks.append(part.to_ndarray().reshape(part.samples, -1).mean(axis=1))
    except (av.error.FFmpegError, IndexError, ValueError):
        return None
    return np.concatenate([np.zeros(0, np.float32), *blocks]), rate


def case(name: str, content: bytes, file: Path) -> str:
    file.write_bytes(content)
    samples, rate, flaws = read_audio(file)
    assert np.isfinite(samples).all(), "samples that are no numbers"
    if flaws:
        return "flawed"
    opinion = second_opinion(content)
    if opinion is None:
        return "read where FFmpeg finds fault"
    other, other_rate = opinion
    # FFmpeg has Opus at 48 kHz only; AIFF and CAF have fractions of 1 Hz, which one cuts off and another rounds.
    same_rate = abs(other_rate - rate) <= 1 or (other_rate == 48000 and b"OpusHead" in content)
    assert same_rate or not len(other), f"{rate} Hz, FFmpeg {other_rate}"
    length = len(other) * rate / max(1, other_rate)
    slack = LONGEST_FRAME if name in CODED or name == "wav_ima_adpcm" else 4
    assert abs(len(samples) - length) <= slack, f"{len(samples)} samples, FFmpeg {length:.0f}"
    if name not in CODED:
        common = min(len(samples), len(other))
        difference = float(np.abs(samples[:common] - other[:common]).max(initial=0.0))
        assert difference < 1e-3, f"samples differ by {difference}"
    return "read as FFmpeg reads it"


def audio(number: int, folder: Path, seed: int = 0) -> Findings:
    """Mutates `number` files, all formats in turn."""
    findings, names = Findings("audio files"), list(FORMATS)
    for index in range(number):
        name, dice = names[index % len(names)], random.Random(f"{seed} {index}")
        content = damaged(whole(name), dice)
        if name == "mp3" and dice.random() < 0.2:  # as players take them, one after another
            content = whole(name) + of_another_kind(name)
            content = content if dice.random() < 0.5 else damaged(content, dice)
        findings.try_case(
            f"{name} {seed} {index}", lambda name=name, content=content: case(name, content, folder / "a")
        )
    return findings

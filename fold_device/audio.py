"""Audio files as samples. What a header says of a length is never believed: a file is read until nothing comes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal, NamedTuple

import numpy as np
import soundfile
import soxr

from fold_device import audio_headers as headers
from fold_device import mp3
from fold_device.audio_view import View
from fold_device.errors import DeviceError, DeviceWarning
from fold_device.mixing import Flaw as Flaw
from fold_device.mixing import Mixing

BLOCK = 1 << 16  # numbers read at once
RATES = range(1000, 1_000_001)  # Hz: anything else is a damaged header
DAMAGE = 0.001  # less than this share is how programs count
FRAMES_OF_A_CODEC = 4608  # that it leaves out at both ends, at most
HEADROOM = 4096  # bytes that an MP3 file may have besides what it tells of
SELF_COUNTED = ("OGG", "SDS")  # libsndfile reads these to their end to count frames, and would not find one

Channel = Literal["mix", "left", "right"] | int
"""Which channel of a recording is read: their mean, one by name, or one by number, the first being 1."""


class Audio(NamedTuple):
    """samples: (samples,) float32, mono, in [-1, 1] as a rule, perhaps none; sample_rate: in Hz."""

    samples: np.ndarray
    sample_rate: int
    flaws: tuple[Flaw, ...] = ()


def read_audio(file: str | Path, sample_rate: int | None = None, channel: Channel = "mix") -> Audio:
    """Reads a file of any length and number of channels: WAV, FLAC, MP3, Ogg (Vorbis, Opus), AIFF, AU, CAF.

    It is read and resampled block by block: the sound at its own rate and with all its channels is never held whole.

    Args:
        file: the audio file; perhaps a pipe.
        sample_rate: the rate to resample to, in Hz; None for that of the file.
        channel: which channel; `mix` for the mean of all.

    Raises:
        DeviceError: the file is missing, is no audio, lacks the channel, or holds samples that are NaN or infinite.
    """
    with _open(file) as opened:
        return read_stream(file, opened if opened.seekable() else io.BytesIO(opened.read()), sample_rate, channel)


def read_stream(name: str | Path, stream: IO[bytes], sample_rate: int | None = None, channel: Channel = "mix") -> Audio:
    """Reads an open audio file in which one can seek; name: for messages; else as `read_audio`."""
    with _refused(name, stream):
        sound = _Sound(name, stream, channel)
        blocks = list(sound.at(sample_rate or sound.sample_rate))
        return Audio(
            np.concatenate([np.zeros(0, np.float32), *blocks]), sample_rate or sound.sample_rate, sound.flaws(stream)
        )


def read_blocks(file: str | Path, sample_rate: int, channel: Channel = "mix") -> Iterator[np.ndarray]:
    """Yields the sound of a file at a sample rate in Hz, block by block; else as `read_audio`.

    Warns, with a DeviceWarning, of what is wrong with it though it can be read, when all has been read.
    """
    with _open(file) as opened:
        stream = opened if opened.seekable() else io.BytesIO(opened.read())
        with _refused(file, stream):
            sound = _Sound(file, stream, channel)
            yield from sound.at(sample_rate)
        for flaw in sound.flaws(stream):
            warnings.warn(f"{file}: {flaw.reason}", DeviceWarning, stacklevel=2)


@contextmanager
def _refused(name: str | Path, stream: IO[bytes]) -> Iterator[None]:
    """Around what reads an open file. Raises DeviceError for one that is no audio."""
    if refusal := headers.refusal(name, stream.read(headers.HEAD_BYTES)):
        raise DeviceError(f"{name}: {refusal}")
    try:
        yield
    except (OSError, soundfile.SoundFileError) as error:
        raise DeviceError(
            f"{name}: not audio that libsndfile reads ({_reason(error)}); {headers.advice(name)}"
        ) from None


def _open(file: str | Path) -> IO[bytes]:
    try:
        return Path(file).open("rb")
    except FileNotFoundError:
        raise DeviceError(f"{file}: no such file") from None
    except IsADirectoryError:
        raise DeviceError(f"{file}: a folder; expected an audio file") from None
    except (OSError, ValueError) as error:
        raise DeviceError(f"{file}: cannot be read ({error})") from None


def _reason(error: Exception) -> str:
    """What libsndfile says, without Python's name of the stream."""
    return str(getattr(error, "error_string", error))


class _Sound:
    """The sound of an open file, and what became of it while it was read."""

    def __init__(self, file: str | Path, stream: IO[bytes], channel: Channel) -> None:
        self.file = file
        self.source = _source(file, stream)
        self.audio = _InOrder(self.source.view)
        self.sample_rate = self.audio.samplerate
        if self.sample_rate not in RATES:
            raise DeviceError(f"{file}: a sample rate of {self.sample_rate} Hz cannot be; the header is damaged")
        self.index = channel_index(file, channel, self.audio.channels)
        self.frames = 0  # read so far
        self.mixing = Mixing(self.sample_rate)
        self.error = ""  # that ended the reading

    def blocks(self) -> Iterator[np.ndarray]:
        """Mono blocks until nothing comes, each (samples,)."""
        with self.audio:
            while len(block := self._read()):
                at = self.frames / self.sample_rate
                self.frames += len(block)
                mono = block.mean(axis=1) if self.index is None else block[:, self.index]
                if not np.isfinite(mono).all():
                    raise DeviceError(f"{self.file}: holds samples that are NaN or infinite, from {at:.1f} s on")
                if self.index is None:
                    self.mixing.add(block, mono)
                yield mono

    def at(self, sample_rate: int) -> Iterator[np.ndarray]:
        """The same at a sample rate in Hz."""
        return (
            self.blocks()
            if sample_rate == self.sample_rate
            else _resampled(self.blocks(), self.sample_rate, sample_rate)
        )

    def _read(self) -> np.ndarray:
        """The next block, (frames, channels), perhaps shorter than asked for; up to where an error ends the sound."""
        if self.error:
            return np.zeros((0, self.audio.channels), np.float32)
        block = np.full((max(1, BLOCK // self.audio.channels), self.audio.channels), np.nan, np.float32)
        try:
            read: np.ndarray = self.audio.read(out=block)
            return read
        except soundfile.SoundFileError as error:
            self.error = _reason(error)
            left = np.isnan(block).any(axis=1)  # what libsndfile had not come to
            return block[: int(left.argmax()) if left.any() else len(block)]

    def flaws(self, stream: IO[bytes]) -> tuple[Flaw, ...]:
        """What is wrong with all that was read."""
        return (*self._losses(stream), *self.mixing.flaws())

    def _losses(self, stream: IO[bytes]) -> Iterator[Flaw]:
        told = self.source.told if self.source.told is not None else self._told(stream)
        seconds = self.frames / self.sample_rate
        slack = FRAMES_OF_A_CODEC if self.audio.format == "MP3" else 0
        if told and told - self.frames > max(DAMAGE * told, slack):
            yield Flaw(f"{seconds:.1f} s of {told / self.sample_rate:.1f} s are there", 1 - self.frames / told)
        elif self.source.spare is not None and (unread := self.source.view.left) > self.source.spare:
            yield Flaw(
                f"{seconds:.1f} s are there, but more follows than its header tells of", unread / self.source.view.end
            )
        elif self.audio.format == "MP3" and (change := mp3.change(stream, self._mp3_kind())):
            kind, lost = change
            yield Flaw(f"{seconds:.1f} s are there, then another kind of sound follows ({kind})", lost)
        elif self.source.lost:
            yield Flaw(f"{seconds:.1f} s are there, some {self.source.lost:.0%} are missing", self.source.lost)
        elif self.error:
            yield Flaw(f"{seconds:.1f} s are there, then it is damaged or cut off", 1.0)
        elif self.audio.format == "OGG" and (flaw := headers.ogg_flaw(stream)):
            yield Flaw(f"{seconds:.1f} s are there, but {flaw}", 1.0)

    def _mp3_kind(self) -> mp3.Kind:
        layer = self.audio.subtype.removeprefix("MPEG_LAYER_").count("I")  # a Roman number
        return mp3.Kind(self.sample_rate, self.audio.channels, layer)

    def _told(self, stream: IO[bytes]) -> int | None:
        """The frames that the header tells of, whatever the file holds; None if it does not know.

        libsndfile believes most headers only as far as the file goes, so it is shown one that never ends.
        """
        told: int = self.audio.frames
        if self.audio.format in SELF_COUNTED:
            return told
        try:
            with _InOrder(View(stream, endless=True)) as endless:
                told = endless.frames
        except soundfile.SoundFileError:
            return None
        bytes_a_frame = stream.seek(0, io.SEEK_END) / max(self.frames, 1)
        return told if told * bytes_a_frame < headers.STREAMED_BYTES else None


class _InOrder(soundfile.SoundFile):  # type: ignore[misc]  # the library has no types
    """A file that is read from its start to its end. Else soundfile seeks after every read, and trusts the header."""

    def seekable(self) -> bool:
        return False


class _Source(NamedTuple):
    """What libsndfile reads. told: frames that the file tells of, where we know it already; lost: the share of the
    file that is missing, where that is known before anything is read; spare: bytes that may be left unread at its end,
    where the file's own count of frames ends the reading."""

    view: View
    told: int | None = None
    lost: float = 0.0
    spare: int | None = None


def _source(file: str | Path, stream: IO[bytes]) -> _Source:
    """A view of a file in which libsndfile goes on reading until nothing comes."""
    if (total := headers.nist_total(stream)) is not None:
        return _Source(View(stream), total)
    if (flac := headers.flac(stream)) is not None:
        if flac.first_rate not in (0, flac.rate):
            raise DeviceError(
                f"{file}: its header contradicts itself: {flac.rate} Hz, but its sound {flac.first_rate} Hz"
            )
        return _Source(View(stream, patches={headers.FLAC_TOTAL: bytes([flac.top, 0, 0, 0, 0])}), flac.samples)
    if (chunk := headers.riff(stream) or headers.au(stream)) is not None:
        if chunk.flaw:
            raise DeviceError(f"{file}: {chunk.flaw}")
        if chunk.num_bytes == 0 and chunk.unread:
            return _Source(View(stream, patches={chunk.place: b"\xff" * 4}), 0)
        return _Source(View(stream), lost=chunk.unread / max(1, chunk.num_bytes + chunk.unread))
    with _InOrder(View(stream)) as audio:
        is_mp3, frames = audio.format == "MP3", audio.frames
    return _mp3_source(stream, frames) if is_mp3 else _Source(View(stream))


def _mp3_source(stream: IO[bytes], frames: int) -> _Source:
    """frames: what libsndfile takes for the length."""
    start, end = mp3.bounds(stream)
    xing = mp3.xing(stream)
    if xing is None:
        return _Source(View(stream, end, endless=True), 0)
    follows = end - start - xing.num_bytes > max(HEADROOM, xing.num_bytes // 100)  # more than it tells of
    if follows or abs(xing.samples - frames) > FRAMES_OF_A_CODEC:
        return _Source(View(stream, end, {xing.place: bytes(4)}, endless=True), xing.samples)
    frame_bytes = (end - start) * xing.samples_a_frame / xing.samples
    return _Source(View(stream, end), frames, spare=round(max(4 * frame_bytes, 2.5 * xing.samples_a_frame)))


def channel_index(file: str | Path, channel: Channel, channels: int) -> int | None:
    """The index of the wanted channel, None for the mean of all. Raises DeviceError if there is none such."""
    if channel == "mix":
        return None if channels > 1 else 0
    index = {"left": 1, "right": 2}[channel] if isinstance(channel, str) else channel
    if not 1 <= index <= channels:
        raise DeviceError(f"{file}: no channel '{channel}'; it has {channels}, expected mix or 1 to {channels}")
    return index - 1


def _resampled(blocks: Iterable[np.ndarray], before: int, after: int) -> Iterator[np.ndarray]:
    """The same sound at another rate, both in Hz."""
    resampler = soxr.ResampleStream(before, after, num_channels=1)
    for block in blocks:
        yield resampler.resample_chunk(block)
    yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)

"""An exported model in ONNX Runtime."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fold_device.audio import Channel, read_blocks
from fold_device.cutting import Piece, Utterances
from fold_device.description import Description, Stored, read_description
from fold_device.errors import DeviceError
from fold_device.words import Transcript, Units, best_path

if TYPE_CHECKING:
    import onnxruntime

PAUSE_SECONDS, LONGEST_SECONDS = 0.3, 30.0
INPUTS, OUTPUTS = ["num_samples", "repeats", "waveforms"], ["log_probs", "num_frames"]


def load(folder: str | Path, precision: str | None = None, threads: int = 1) -> Model:
    """Loads an exported folder.

    Args:
        folder: that `fold export --to onnx` wrote.
        precision: of its weights (fp32, fp16, int8, int4); by default int8, if the folder holds it.
        threads: that compute; 0 for as many as there are cores.

    Raises:
        DeviceError: the folder or a file of it is missing, damaged or of something else.
    """
    description = read_description(folder)
    name, stored = description.stored(precision)
    return Model(description, name, _session(description.folder, stored, threads))


class Model:
    """A recogniser of one precision, at any depth of its space.

    Args:
        description: of its folder.
        precision: of its weights.
        session: of ONNX Runtime.
    """

    def __init__(self, description: Description, precision: str, session: onnxruntime.InferenceSession) -> None:
        self.description, self.precision = description, precision
        self.units = Units(description.units, description.joiner)
        self._session = session

    @property
    def depths(self) -> tuple[int, ...]:
        """Depths to choose from, shallowest first."""
        return tuple(self.description.depths)

    def log_probs(self, samples: np.ndarray, repeats: Sequence[int]) -> np.ndarray:
        """The log-probabilities of one utterance, (frames, units). samples: (samples,) float32; repeats: that
        `Description.choose` gave, as the graph does not check them."""
        fed = {
            "waveforms": np.asarray(samples, np.float32)[None],
            "num_samples": np.array([len(samples)], np.int64),
            "repeats": np.array(repeats, np.int64),
        }
        try:
            log_probs, num_frames = self._session.run(OUTPUTS, fed)
        except Exception as error:  # classes of ONNX Runtime's own, derived from Exception alone
            raise DeviceError(f"{self.description.folder}: ONNX Runtime failed: {_first_line(error)}") from None
        if log_probs.shape[2] != len(self.units):
            raise DeviceError(
                f"{self.description.folder}: the model tells {log_probs.shape[2]} units apart, its description names "
                f"{len(self.units)}"
            )
        return np.asarray(log_probs[0, : num_frames[0]])

    def transcribe(
        self,
        audio: str | Path | np.ndarray,
        depth: int | None = None,
        repeats: Sequence[int] | None = None,
        pause: float = PAUSE_SECONDS,
        longest: float = LONGEST_SECONDS,
        channel: Channel = "mix",
    ) -> Transcript:
        """What is said in a recording of any length, recognised an utterance at a time; nothing where nobody speaks.

        Args:
            audio: a file, or samples (samples,) at the model's sample rate, in [-1, 1].
            depth: executed depth, along its canonical path; by default the deepest.
            repeats: how often each physical layer runs, instead of a depth.
            pause: seconds of quiet between two utterances.
            longest: seconds of an utterance, at most.
            channel: of a file: `mix` for the mean of all, `left`, `right`, or a number from 1.

        Raises:
            DeviceError: the depth, the repeats or the audio is wrong.

        Warns:
            DeviceWarning: a file lacks some of its sound, or its channels cancel each other.
        """
        chosen = self.description.choose(depth, repeats)
        for name, seconds in (("pauses", pause), ("utterances", longest)):
            if not seconds > 0:
                raise DeviceError(f"{name} of {seconds:g} s: expected more than 0")
        rate = self.description.sample_rate
        blocks = [_samples(audio)] if isinstance(audio, np.ndarray) else read_blocks(audio, rate, channel)
        heard = _Counted(blocks)
        said = list(self.pieces(Utterances(rate, pause, longest)(heard), chosen))
        text = self.units.joined(each.text for each in said)
        return Transcript(text, tuple(word for each in said for word in each.words), heard.num_samples / rate)

    def pieces(self, pieces: Iterable[Piece], repeats: Sequence[int]) -> Iterator[Transcript]:
        """The transcript of each piece as it comes, with times from the beginning of the stream."""
        rate = self.description.sample_rate
        for piece in pieces:
            symbols = best_path(self.log_probs(piece.samples, repeats))
            words = self.units.words(symbols, self.description.frame_seconds, piece.start / rate)
            yield Transcript(self.units.text(symbols), tuple(words), len(piece.samples) / rate)


class _Counted:
    """Blocks of samples, counted as they go by."""

    def __init__(self, blocks: Iterable[np.ndarray]) -> None:
        self.num_samples, self._blocks = 0, blocks

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in self._blocks:
            self.num_samples += len(block)
            yield block


def _samples(audio: np.ndarray) -> np.ndarray:
    if audio.ndim != 1:
        raise DeviceError(f"samples of shape {audio.shape}: expected one channel, (samples,)")
    if not np.issubdtype(audio.dtype, np.floating):
        raise DeviceError(f"samples of {audio.dtype}: expected floating-point numbers in [-1, 1]")
    if not np.isfinite(audio).all():
        raise DeviceError("samples that are not finite numbers")
    return audio.astype(np.float32)


def _session(folder: Path, stored: Stored, threads: int) -> onnxruntime.InferenceSession:
    files = [folder / name for name in (stored.file, stored.data) if name]
    _check(files, folder, stored)
    try:
        import onnxruntime
    except ImportError:
        raise DeviceError("ONNX Runtime is missing: `pip install onnxruntime`") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4  # what goes wrong is raised, and told once
    try:
        session = onnxruntime.InferenceSession(files[0], options, providers=["CPUExecutionProvider"])
    except Exception as error:  # as above
        raise DeviceError(f"{files[0]}: not a model that ONNX Runtime loads ({_first_line(error)})") from None
    inputs, outputs = ([port.name for port in ports] for ports in (session.get_inputs(), session.get_outputs()))
    if sorted(inputs) != INPUTS or not set(OUTPUTS) <= set(outputs):
        raise DeviceError(
            f"{files[0]}: takes {', '.join(inputs)} and gives {', '.join(outputs)}: not a model of "
            "`fold export --to onnx`"
        )
    return session


def _check(files: Sequence[Path], folder: Path, stored: Stored) -> None:
    """Raises DeviceError unless the files are those that were exported."""
    for file in files:
        if not file.is_file():
            raise DeviceError(f"{file}: no such file, but {folder} describes it")
    names = " and ".join(str(file) for file in files)
    size = sum(file.stat().st_size for file in files)
    if size != stored.bytes:
        raise DeviceError(f"{names}: damaged: {size:,} bytes, where {stored.bytes:,} were written")
    if stored.crc32 is not None and _crc32(files) != stored.crc32:
        raise DeviceError(f"{names}: damaged: the checksum is not that of what was written")


def _crc32(files: Sequence[Path]) -> int:
    """Of the files one after the other."""
    found = 0
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                found = zlib.crc32(block, found)
    return found


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

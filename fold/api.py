"""What `import fold` offers: a trained model to use from Python, at any depth."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Literal, overload

import numpy as np
import soxr
import torch
from torch import Tensor, nn

from fold import checkpoint
from fold.audio import Channel, read_audio
from fold.checkpoint import Description
from fold.decoding.cutting import Cutting, frame_times
from fold.decoding.decode import Decoding
from fold.decoding.trained import trained_decoding
from fold.decoding.words import Word, words
from fold.device import choose_device
from fold.errors import FoldError, FoldWarning
from fold.models import PathOutput, Recogniser
from fold.paths import Path, PathSpace
from fold.precision import Precision, computing_in
from fold_device.cutting import Piece

Audio = str | os.PathLike[str] | np.ndarray | Tensor
"""An audio file, or (samples,) of floating-point numbers in [-1, 1]."""


def load(
    file: str | os.PathLike[str],
    device: str | None = None,
    precision: Precision = "auto",
    decoding: Decoding | None = None,
    cutting: Cutting = Cutting(),
) -> Model:
    """A trained model, ready to transcribe at every depth.

    Args:
        file: a checkpoint of `fold fit`.
        device: cpu, cuda, ...; None for an accelerator if there is one.
        precision: fp32 or bf16; auto for bf16 on a GPU that computes in it, else fp32.
        decoding: how transcripts are found; None for the way of the test after training.
        cutting: how recordings are cut into utterances.

    Raises:
        FoldError: the file is missing, damaged or no checkpoint, there is no such device, or the model lacks the
            decoder that `decoding` asks for.
    """
    content = checkpoint.read(file)
    recogniser, description = checkpoint.restore(content, file)
    decoding = decoding or trained_decoding(content, file)
    return Model(recogniser.to(choose_device(device)), description, decoding, cutting, precision)


class Model:
    """A trained model at every depth.

    Attributes:
        recogniser: its network, in eval mode (see `fold.models.Recogniser`).
        description: its architecture, path space, units and sample rate.
        decoding: how transcripts are found.
        cutting: how recordings are cut into utterances.
        precision: in which it computes.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        description: Description,
        decoding: Decoding,
        cutting: Cutting,
        precision: Precision,
    ) -> None:
        decoding.check(recogniser, description.units)
        self.recogniser = recogniser.eval()
        self.description = description
        self.decoding = decoding
        self.cutting = cutting
        self.precision = precision

    @property
    def paths(self) -> PathSpace:
        """All paths that the model can run."""
        return self.description.space

    @property
    def depths(self) -> range:
        """The depths that the model can run: layer calls, from the seed to the deepest path."""
        return self.paths.depths

    @property
    def sample_rate(self) -> int:
        """Of its audio, in Hz."""
        return self.description.sample_rate

    # A file name is an Audio, and a sequence of str too: the first signature that fits counts, as in the body.
    @overload
    def transcribe(  # type: ignore[overload-overlap]  # as said above
        self,
        audio: Audio,
        depth: int | None = ...,
        path: Path | str | None = ...,
        *,
        timestamps: Literal[False] = ...,
        sample_rate: int | None = ...,
        channel: Channel = ...,
    ) -> str: ...

    @overload
    def transcribe(
        self,
        audio: Sequence[Audio],
        depth: int | None = ...,
        path: Path | str | None = ...,
        *,
        timestamps: Literal[False] = ...,
        sample_rate: int | None = ...,
        channel: Channel = ...,
    ) -> list[str]: ...

    @overload
    def transcribe(  # type: ignore[overload-overlap]  # as said above
        self,
        audio: Audio,
        depth: int | None = ...,
        path: Path | str | None = ...,
        *,
        timestamps: Literal[True],
        sample_rate: int | None = ...,
        channel: Channel = ...,
    ) -> list[Word]: ...

    @overload
    def transcribe(
        self,
        audio: Sequence[Audio],
        depth: int | None = ...,
        path: Path | str | None = ...,
        *,
        timestamps: Literal[True],
        sample_rate: int | None = ...,
        channel: Channel = ...,
    ) -> list[list[Word]]: ...

    def transcribe(
        self,
        audio: Audio | Sequence[Audio],
        depth: int | None = None,
        path: Path | str | None = None,
        *,
        timestamps: bool = False,
        sample_rate: int | None = None,
        channel: Channel = "mix",
    ) -> str | list[str] | list[Word] | list[list[Word]]:
        """The text of one recording or of several, of any length: an utterance at a time, none where nobody speaks.

        Args:
            audio: a file, an array of samples, or a sequence of such.
            depth: executed depth, along its canonical path; None for the deepest.
            path: an unfolding path such as "1-1-2-3", instead of a depth.
            timestamps: whether to return words with their times and confidences instead of text.
            sample_rate: of arrays, in Hz; None for that of the model. Files know theirs.
            channel: of files: mix for the mean of all, left, right, or a number from 1.

        Returns:
            The text, or with `timestamps` a list of `Word`s; for a sequence a list of such.

        Raises:
            FoldError: audio that cannot be used, or a depth or path that the model has not.

        Warns:
            FoldWarning: a file that lacks some of its sound, or whose channels cancel each other.
        """
        chosen = self.paths.choose(depth, path)

        def one(audio: Audio) -> str | list[Word]:
            pieces = self.cutting(self._samples(audio, sample_rate, channel), self.sample_rate)
            if timestamps:
                return [word for piece in pieces for word in self._words(piece, chosen)]
            return self.description.units.joined(self._text(piece, chosen) for piece in pieces)

        if isinstance(audio, str | os.PathLike | np.ndarray | Tensor):
            return one(audio)
        return [one(entry) for entry in audio]  # type: ignore[return-value] # one kind or the other

    def at(self, depth: int | None = None, path: Path | str | None = None) -> PathModel:
        """One path as a plain module, which shares the model's weights; without arguments the deepest.

        Raises FoldError for a depth or path that the model has not.
        """
        return PathModel(self.recogniser, self.paths.choose(depth, path))

    def __repr__(self) -> str:
        kind, space = type(self.description.architecture).__name__, self.paths
        return (
            f"Model({kind}, {space.num_layers} layers, depths {self.depths[0]} to {self.depths[-1]}, "
            f"{self.recogniser.num_parameters():,} parameters)"
        )

    def _samples(self, audio: Audio, sample_rate: int | None, channel: Channel) -> np.ndarray:
        """(samples,) float32 at the model's rate."""
        if isinstance(audio, str | os.PathLike):
            samples, _, flaws = read_audio(FilePath(audio), self.sample_rate, channel)
            for flaw in flaws:
                warnings.warn(f"{audio}: {flaw.reason}", FoldWarning, stacklevel=4)
            return samples
        if isinstance(audio, Tensor):  # NumPy knows no bfloat16
            audio = (audio.float() if audio.is_floating_point() else audio).detach().cpu().numpy()
        samples = audio
        if samples.ndim != 1:
            raise FoldError(f"audio of shape {samples.shape}: expected one channel, (samples,)")
        if not np.issubdtype(samples.dtype, np.floating):
            raise FoldError(f"audio of {samples.dtype}: expected floating-point samples in [-1, 1]")
        samples = samples.astype(np.float32)
        if not np.isfinite(samples).all():
            raise FoldError("audio with samples that are NaN or infinite")
        if sample_rate in (None, self.sample_rate):
            return samples
        if sample_rate < 1:
            raise FoldError(f"a sample rate of {sample_rate} Hz: expected that of the audio")
        resampled: np.ndarray = soxr.resample(samples, sample_rate, self.sample_rate)
        return resampled

    def _text(self, piece: Piece, path: Path) -> str:
        ids, _ = self._recognise(piece, path)
        return self.description.units.decode(ids)

    def _words(self, piece: Piece, path: Path) -> list[Word]:
        ids, output = self._recognise(piece, path)
        times = frame_times(self.description.architecture, self.sample_rate, piece.start)
        return words(ids, output.ctc_log_probs[0], self.description.units, times)

    @torch.no_grad()
    def _recognise(self, piece: Piece, path: Path) -> tuple[list[int], PathOutput]:
        """The units of an utterance, and what they were found in."""
        device = next(self.recogniser.parameters()).device
        waveform = torch.from_numpy(piece.samples)[None].to(device)
        with computing_in(device, self.precision):
            [output] = self.recogniser(waveform, torch.tensor([len(piece.samples)]), [path])
            [[ids]] = self.decoding(self.recogniser, [output], self.description.units)
        return ids, output


class PathModel(nn.Module):
    """A recogniser along one path, with its CTC head, as a plain module."""

    def __init__(self, recogniser: Recogniser, path: Path) -> None:
        super().__init__()
        parts = recogniser.stem, recogniser.unfolding, recogniser.final_norm, recogniser.ctc_head
        self.recogniser = Recogniser(*parts).train(recogniser.training)
        self.path = path

    def forward(self, waveforms: Tensor, num_samples: Tensor) -> tuple[Tensor, Tensor]:
        """waveforms: (batch, samples) in [-1, 1]; num_samples: (batch,).

        Returns (batch, frames, units) log-probabilities of CTC, unit 0 being blank, and (batch,) frames of each.
        """
        [output] = self.recogniser(waveforms, num_samples, [self.path])
        return output.ctc_log_probs, output.num_frames

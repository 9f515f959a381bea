"""A speech recogniser with an unfoldable encoder: stem -> unfolding -> heads.

The recogniser knows nothing of Conformers: a *stem* turns waveforms into what the layers take, an `Unfolding` runs
the layers along any set of paths, and the heads (CTC, optionally an attention decoder) are shared by all paths.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fold.data.units import Units
from fold.modules.decoder import AttentionDecoder
from fold.modules.masks import length_mask
from fold.paths import Path
from fold.unfolding import Unfolding


@dataclass(frozen=True)
class StemOutput:
    """What a stem hands to the layers.

    x: (batch, frames, dim); num_frames: (batch,); layer_args: further arguments of every layer call.
    """

    x: Tensor
    num_frames: Tensor
    layer_args: tuple[object, ...]


@dataclass(frozen=True)
class PathOutput:
    """What the heads say of one path's encoding.

    path: the path; encoded: (batch, frames, dim); num_frames: (batch,);
    ctc_log_probs: (batch, frames, vocab_size) fp32, unit 0 is blank;
    decoder_log_probs: (batch, length, vocab_size) fp32 after each prefix of the targets, or None.
    """

    path: Path
    encoded: Tensor
    num_frames: Tensor
    ctc_log_probs: Tensor
    decoder_log_probs: Tensor | None = None


class Recogniser(nn.Module):
    """A speech recogniser at every depth.

    stem: module called as `stem(waveforms, num_samples) -> StemOutput`.
    unfolding: the shared encoder layers.
    final_norm: applied to the encoding of every path.
    """

    def __init__(
        self,
        stem: nn.Module,
        unfolding: Unfolding,
        final_norm: nn.Module,
        ctc_head: nn.Linear,
        decoder: AttentionDecoder | None = None,
    ) -> None:
        super().__init__()
        self.stem = stem
        self.unfolding = unfolding
        self.final_norm = final_norm
        self.ctc_head = ctc_head
        self.decoder = decoder

    def forward(
        self, waveforms: Tensor, num_samples: Tensor, paths: Sequence[Path], prefixes: Tensor | None = None
    ) -> list[PathOutput]:
        """One output a path, in the order of `paths`.

        waveforms: (batch, samples) in [-1, 1]; num_samples: (batch,);
        prefixes: (batch, length) units beginning with <sos/eos>, for the decoder's teacher forcing.
        """
        outputs = dict(self.walk(waveforms, num_samples, paths, prefixes))
        return [outputs[index] for index in range(len(paths))]

    def walk(
        self, waveforms: Tensor, num_samples: Tensor, paths: Sequence[Path], prefixes: Tensor | None = None
    ) -> Iterator[tuple[int, PathOutput]]:
        """As `forward`, but yields (index of the path, output) as soon as each is known: a sweep over many paths
        that consumes each at once needs little memory."""
        stem = self.stem(waveforms, num_samples)
        for index, x in self.unfolding.walk(stem.x, paths, *stem.layer_args):
            encoded = self.final_norm(x)
            ctc_log_probs = self.ctc_head(encoded).float().log_softmax(-1)
            decoder_log_probs = None
            if self.decoder is not None and prefixes is not None:
                decoder_log_probs = self.decode_prefixes(prefixes, encoded, stem.num_frames)
            yield index, PathOutput(paths[index], encoded, stem.num_frames, ctc_log_probs, decoder_log_probs)

    def decode_prefixes(self, prefixes: Tensor, encoded: Tensor, num_frames: Tensor) -> Tensor:
        """The decoder's log-probabilities after each prefix: (batch, length, vocab_size) fp32."""
        mask = length_mask(num_frames, encoded.shape[1])
        return self.decoder(prefixes, encoded, mask).float().log_softmax(-1)

    def num_parameters(self) -> int:
        """Number of parameters: the same at every depth."""
        return sum(parameter.numel() for parameter in self.parameters())


class Architecture(ABC):
    """The settings of a kind of model. Subclasses are frozen dataclasses of plain values (they go into checkpoints).

    A new model is a new subclass, exported from `fold.models` or offered by a package (see `fold.models.registry`).
    """

    num_layers: int
    """Number of physical layers that can be unfolded."""

    CHANGEABLE = ()
    """Settings that no weight depends on: a resumed run may change them."""

    @abstractmethod
    def build(self, vocab_size: int, sample_rate: int) -> Recogniser:
        """A model with fresh weights. vocab_size counts <blank> (first) and <sos/eos> (last); sample_rate in Hz."""

    @abstractmethod
    def num_frames(self, num_samples: int, sample_rate: int) -> int:
        """Encoded frames of so much audio."""

    @classmethod
    @abstractmethod
    def from_plain(cls, settings: dict[str, Any]) -> Architecture:
        """The architecture whose `dataclasses.asdict` is `settings`."""

    def units(self, corpus: Units) -> Units:
        """The units of a new model: those of the corpus, unless pre-trained weights bring their own."""
        return corpus

    def fetch(self) -> None:  # noqa: B027 (most have none)
        """Downloads pre-trained weights: called by one process of a machine before any loads them."""

    def load_pretrained(self, model: Recogniser, sample_rate: int) -> None:  # noqa: B027 (most have none)
        """Gives a new model its pre-trained weights, if this architecture has any."""


def empty_model(architecture: Architecture, vocab_size: int, sample_rate: int) -> Recogniser:
    """The model without memory for its weights: to count parameters of large shapes at no cost."""
    with torch.device("meta"):
        return architecture.build(vocab_size, sample_rate)

"""A speech recogniser with an unfoldable encoder: stem -> unfolding -> heads.

The recogniser knows nothing of Conformers: a *stem* turns waveforms into what the layers take, an `Unfolding` runs
the layers along any set of paths, and the heads (CTC, optionally an attention decoder) are shared by all paths.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self, overload

import torch
from torch import Tensor, nn

from fold.modules.decoder import AttentionDecoder
from fold.modules.masks import length_mask
from fold.paths import Path
from fold.registry import Registry, unpack_fields
from fold.text.units import Units
from fold.text.unknown import ALL_KNOWN, Unknown
from fold.unfolding import Unfolding


@dataclass(frozen=True)
class StemOutput:
    """What a stem hands to the layers.

    x: (batch, frames, dim); num_frames: (batch,) on the device of the lengths given;
    row_args, shared_args: further arguments of every layer call, (batch, ...) each and the same for all utterances.
    """

    x: Tensor
    num_frames: Tensor
    row_args: tuple[Tensor, ...]
    shared_args: tuple[object, ...]


@dataclass(frozen=True)
class PathOutput:
    """What the heads say of one path's encoding.

    path: the path; encoded: (batch, frames, dim); num_frames: (batch,);
    ctc_log_probs: (batch, frames, vocab_size) fp32, unit 0 is blank;
    decoder_log_probs: (batch, length, vocab_size) fp32 after each prefix of the targets, or None;
    hidden: what each layer call of the path gave, in order, (batch, frames, dim) each, before the final norm; None
    unless asked for;
    read: gives the CTC log-probabilities of such a state, as if the path ended there; None unless asked for.
    """

    path: Path
    encoded: Tensor
    num_frames: Tensor
    ctc_log_probs: Tensor
    decoder_log_probs: Tensor | None = None
    hidden: Sequence[Tensor] | None = None
    read: Callable[[Tensor], Tensor] | None = None


@dataclass(frozen=True)
class PathOutputs(Sequence[PathOutput]):
    """What the heads say of several paths' encodings, computed together: a sequence of `PathOutput`s.

    encoded, ctc_log_probs, decoder_log_probs: those of `PathOutput`, stacked: (paths, batch, ...); hidden: theirs;
    read: the same for all.
    """

    paths: Sequence[Path]
    encoded: Tensor
    num_frames: Tensor
    ctc_log_probs: Tensor
    decoder_log_probs: Tensor | None = None
    hidden: Sequence[Sequence[Tensor]] | None = None
    read: Callable[[Tensor], Tensor] | None = None

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> PathOutput: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[PathOutput]: ...

    def __getitem__(self, index: int | slice) -> PathOutput | Sequence[PathOutput]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        return PathOutput(
            self.paths[index],
            self.encoded[index],
            self.num_frames,
            self.ctc_log_probs[index],
            None if self.decoder_log_probs is None else self.decoder_log_probs[index],
            None if self.hidden is None else self.hidden[index],
            self.read,
        )


class Recogniser(nn.Module):
    """A speech recogniser at every depth.

    stem: module called as `stem(waveforms, num_samples) -> StemOutput`.
    unfolding: the shared encoder layers.
    final_norm: applied to the encoding of every path.
    `encoder_frozen` keeps these three as they are while the heads train: no gradient of them is computed.
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
        self.encoder_frozen = False

    def forward(
        self,
        waveforms: Tensor,
        num_samples: Tensor,
        paths: Sequence[Path],
        prefixes: Tensor | None = None,
        with_hidden: bool = False,
    ) -> PathOutputs:
        """The outputs of all paths, in the order of `paths`; layers and heads run once for all that wait for them.

        waveforms: (batch, samples) in [-1, 1]; num_samples: (batch,), best on the CPU: on a GPU the losses would have
        to wait for it; prefixes: (batch, length) units beginning with <sos/eos>, for the decoder's teacher forcing;
        with_hidden: whether the outputs hold what each layer call gave, and can read it.
        """
        trains = torch.is_grad_enabled()
        with torch.set_grad_enabled(trains and not self.encoder_frozen):
            stem = self.stem(waveforms, num_samples)
            hidden: list[list[Tensor]] | None = [[] for _ in paths] if with_hidden else None
            results = self.unfolding(stem.x, paths, stem.row_args, stem.shared_args, hidden)
            encoded = self.final_norm(torch.stack(results))
        if trains and self.encoder_frozen:
            encoded = _NoGradient.apply(encoded, *self.encoder_parameters())
        ctc_log_probs = self._ctc(encoded)
        decoder_log_probs = None
        if self.decoder is not None and prefixes is not None:
            each = len(paths)
            rows = self.decode_prefixes(prefixes.repeat(each, 1), encoded.flatten(0, 1), stem.num_frames.repeat(each))
            decoder_log_probs = torch.unflatten(rows, 0, encoded.shape[:2])
        read = self._read if with_hidden else None
        return PathOutputs(paths, encoded, stem.num_frames, ctc_log_probs, decoder_log_probs, hidden, read)

    def walk(self, waveforms: Tensor, num_samples: Tensor, paths: Sequence[Path]) -> Iterator[tuple[int, PathOutput]]:
        """Yields (index of the path, output) as soon as each is known: a sweep over many paths that consumes each at
        once needs little memory. Arguments as of `forward`."""
        stem = self.stem(waveforms, num_samples)
        for index, x in self.unfolding.walk(stem.x, paths, stem.row_args, stem.shared_args):
            encoded = self.final_norm(x)
            yield index, PathOutput(paths[index], encoded, stem.num_frames, self._ctc(encoded))

    def _ctc(self, encoded: Tensor) -> Tensor:
        """CTC log-probabilities in fp32."""
        logits: Tensor = self.ctc_head(encoded)
        return logits.float().log_softmax(-1)

    def _read(self, state: Tensor) -> Tensor:
        """CTC log-probabilities of what a layer call gave."""
        return self._ctc(self.final_norm(state))

    def encoder_parameters(self) -> list[nn.Parameter]:
        """Parameters of all but the heads."""
        return [parameter for part in (self.stem, self.unfolding, self.final_norm) for parameter in part.parameters()]

    def decode_prefixes(self, prefixes: Tensor, encoded: Tensor, num_frames: Tensor) -> Tensor:
        """The decoder's log-probabilities after each prefix: (batch, length, vocab_size) fp32. Of a model that has a
        decoder."""
        assert self.decoder is not None
        mask = length_mask(num_frames, encoded.shape[1], encoded.device)
        logits: Tensor = self.decoder(prefixes, encoded, mask)
        return logits.float().log_softmax(-1)

    def num_parameters(self) -> int:
        """Number of parameters: the same at every depth."""
        return sum(parameter.numel() for parameter in self.parameters())


class _NoGradient(torch.autograd.Function):
    """Hands x on as if it depended on the parameters, which get no gradient.

    In data-parallel training each parameter has to come up in every backward pass: the ranks wait for it.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, *parameters: Tensor) -> Tensor:
        ctx.inputs = 1 + len(parameters)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, ...]:
        inputs: int = ctx.inputs
        return (None,) * inputs


class Architecture(ABC):
    """The settings of a kind of model. Subclasses are frozen dataclasses of plain values (they go into checkpoints).

    A new model is a new subclass in any module, named by `model.network`; a package offers it as an entry point of the
    group `fold.architectures`.
    """

    num_layers: int
    """Number of physical layers that can be unfolded."""

    CHANGEABLE: tuple[str, ...] = ()
    """Settings that no weight depends on: a resumed run may change them."""

    OF_HEADS: tuple[str, ...] = ()
    """Settings that only the heads depend on: a run that starts from the weights of another may have others."""

    @abstractmethod
    def build(self, vocab_size: int, sample_rate: int) -> Recogniser:
        """A model with fresh weights. vocab_size counts <blank> (first) and <sos/eos> (last); sample_rate in Hz."""

    @abstractmethod
    def num_frames(self, num_samples: int, sample_rate: int) -> int:
        """Encoded frames of so much audio."""

    @classmethod
    def from_plain(cls, settings: dict[str, Any]) -> Self:
        """The architecture whose `fold.registry.pack_fields` are `settings`."""
        return unpack_fields(cls, settings)

    def units(self, corpus: Units) -> Units:
        """The units of a new model: those of the corpus, unless pre-trained weights bring their own."""
        return corpus

    @property
    def unknown(self) -> Unknown:
        """How much of a training transcript may be unknown: nothing, where the units are those of the corpus."""
        return ALL_KNOWN

    def fetch(self) -> None:  # noqa: B027 (most have none)
        """Downloads pre-trained weights: called by one process of a machine before any loads them."""

    def load_pretrained(self, model: Recogniser, sample_rate: int) -> None:  # noqa: B027 (most have none)
        """Gives a new model its pre-trained weights, if this architecture has any."""


def empty_model(architecture: Architecture, vocab_size: int, sample_rate: int) -> Recogniser:
    """The model without memory for its weights: to count parameters of large shapes at no cost."""
    with torch.device("meta"):
        return architecture.build(vocab_size, sample_rate)


ARCHITECTURES = Registry(Architecture, "architecture", "fold.architectures", home="fold.models")

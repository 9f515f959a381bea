"""From the output of a path to unit sequences, by the method that a `Decoding` states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from fold.data.units import Units
from fold.decoding.beam import beam_search
from fold.decoding.greedy import ctc_greedy
from fold.errors import FoldError
from fold.models import PathOutput, Recogniser
from fold.paths import Path


@dataclass(frozen=True)
class Decoding:
    """How transcripts are found.

    method: "greedy": best CTC unit of each frame; "beam": beam search over whole sequences;
    beam_size: hypotheses kept (beam search alone); ctc_weight: 1 is CTC alone, 0 the attention decoder alone,
    between them both.
    """

    method: Literal["greedy", "beam"] = "greedy"
    beam_size: int = 10
    ctc_weight: float = 0.3

    def __call__(self, model: Recogniser, output: PathOutput) -> list[list[int]]:
        """The best unit sequence of each utterance of `output`."""
        if self.method == "greedy":
            return ctc_greedy(output.ctc_log_probs, output.num_frames)
        if self.ctc_weight < 1 and model.decoder is None:
            raise FoldError(f"ctc_weight is {self.ctc_weight}: this model has no attention decoder, expected 1")
        lengths = output.num_frames.tolist()
        return [self._beam(model, output, index, length) for index, length in enumerate(lengths)]

    def _beam(self, model: Recogniser, output: PathOutput, index: int, num_frames: int) -> list[int]:
        encoded = output.encoded[index : index + 1, :num_frames]

        def score_next(tokens: Tensor) -> Tensor:
            memory = encoded.expand(len(tokens), -1, -1)
            lengths = torch.full((len(tokens),), num_frames, device=encoded.device)
            return model.decode_prefixes(tokens, memory, lengths)[:, -1]

        log_probs = output.ctc_log_probs[index, :num_frames]
        hypotheses = beam_search(
            log_probs,
            score_next,
            ctc_weight=self.ctc_weight,
            beam_size=self.beam_size,
            sos_eos=log_probs.shape[-1] - 1,
        )
        return list(hypotheses[0].tokens) if hypotheses else []


@torch.no_grad()
def transcribe(
    model: Recogniser,
    units: Units,
    waveforms: Tensor,
    num_samples: Tensor,
    paths: Sequence[Path],
    decoding: Decoding = Decoding(),
) -> list[list[str]]:
    """Transcripts of a batch, a list a path.

    waveforms: (batch, samples) in [-1, 1] at the model's sample rate; num_samples: (batch,). The paths run together,
    common prefixes once, and each is decoded as soon as it is there.
    """
    transcripts: list[list[str]] = [[] for _ in paths]
    for index, output in model.walk(waveforms, num_samples, paths):
        transcripts[index] = [units.decode(utterance) for utterance in decoding(model, output)]
    return transcripts

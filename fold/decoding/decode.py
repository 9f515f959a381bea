"""From the outputs of paths to unit sequences, by the method that a `Decoding` states."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from fold.decoding.attention import AttentionScorer
from fold.decoding.beam import Scorer, beam_search
from fold.decoding.ctc_prefix import CTCPrefixScorer
from fold.decoding.greedy import ctc_greedy
from fold.decoding.lexicon import LexiconScorer, lexicon_of
from fold.errors import FoldError
from fold.models import PathOutput, Recogniser
from fold.paths import Path
from fold.text.units import Units

SEARCHED_AT_ONCE = 1 << 27  # numbers of CTC probabilities and attention's keys in a search, about 1 GB in float64


@dataclass(frozen=True)
class Decoding:
    """How transcripts are found.

    Args:
        method: `greedy` takes the best CTC unit of each frame, `beam` searches over whole sequences.
        beam_size: Hypotheses kept by a beam search.
        ctc_weight: Of a beam search: 1 is only CTC, 0 only the attention decoder, between them both.
        lm: ARPA file of an n-gram language model (see `fold ngram`), whose words alone a beam search then finds; null
            for none.
        lm_weight: Of its log probabilities, beside those of CTC and attention.

    Raises:
        FoldError: A beam size or weight is out of range, or a greedy method is given a language model.
    """

    method: Literal["greedy", "beam"] = "greedy"
    beam_size: int = 10
    ctc_weight: float = 0.3
    lm: str | None = None
    lm_weight: float = 1.0

    def __post_init__(self) -> None:
        if self.beam_size < 1:
            raise FoldError(f"beam_size is {self.beam_size}: it must be at least 1")
        if not 0 <= self.ctc_weight <= 1:
            raise FoldError(f"ctc_weight is {self.ctc_weight}: it must be between 0 (attention only) and 1 (CTC only)")
        if not 0 <= self.lm_weight < math.inf:
            raise FoldError(f"lm_weight is {self.lm_weight}: it must be 0 or more, and finite")
        if self.lm is not None and self.method != "beam":
            raise FoldError(f"lm is {self.lm}: the method {self.method} uses no language model, expected method=beam")

    def __str__(self) -> str:
        if self.method == "greedy":
            return self.method
        known = f" {os.path.basename(self.lm)} {self.lm_weight:g}" if self.lm is not None else ""
        return f"beam {self.beam_size} ctc {self.ctc_weight:g}{known}"

    def check(self, model: Recogniser, units: Units, name: str = "decoding") -> None:
        """Raises FoldError if the model lacks the decoder that this asks for, or its language model cannot be used.
        name: of the setting."""
        if self.method == "beam" and self.ctc_weight < 1 and model.decoder is None:
            raise FoldError(f"{name}.ctc_weight is {self.ctc_weight}: this model has no attention decoder, expected 1")
        if self.lm is not None:
            lexicon_of(self.lm, units)

    def __call__(self, model: Recogniser, outputs: Sequence[PathOutput], units: Units) -> list[list[list[int]]]:
        """The best unit sequence of each utterance, for each of `outputs` (all of the same utterances)."""
        self.check(model, units)
        if self.method == "greedy":
            return [ctc_greedy(output.ctc_log_probs, output.num_frames) for output in outputs]
        encoded, log_probs = torch.cat([o.encoded for o in outputs]), torch.cat([o.ctc_log_probs for o in outputs])
        num_frames = torch.cat([output.num_frames for output in outputs])
        [_, frames, num_units], dim = log_probs.shape, encoded.shape[-1]
        each = self._searched_at_once(frames, num_units, dim)
        parts = zip(*(torch.split(whole, each) for whole in (encoded, log_probs, num_frames)), strict=True)
        found = [ids for part in parts for ids in self._search(model, units, *part)]
        batch = len(outputs[0].encoded)
        return [found[first : first + batch] for first in range(0, len(found), batch)]

    def _searched_at_once(self, num_frames: int, num_units: int, dim: int) -> int:
        """Utterances whose search fits the memory meant for it."""
        return max(1, SEARCHED_AT_ONCE // (max(1, num_frames) * (num_units + self.beam_size * dim)))

    def _search(
        self, model: Recogniser, units: Units, encoded: Tensor, log_probs: Tensor, num_frames: Tensor
    ) -> list[list[int]]:
        """encoded: (batch, frames, dim); log_probs: (batch, frames, units) of CTC; num_frames: (batch,)."""
        lengths: list[int] = num_frames.tolist()
        sos_eos = log_probs.shape[-1] - 1
        scorers: list[tuple[float, Scorer]] = []
        if self.ctc_weight > 0:
            scorers.append((self.ctc_weight, CTCPrefixScorer(log_probs, num_frames, sos_eos)))
        if self.ctc_weight < 1:
            assert model.decoder is not None  # see `check`
            scorers.append((1 - self.ctc_weight, AttentionScorer(model.decoder, encoded, num_frames, sos_eos)))
        if self.lm is not None:
            scorers.append((self.lm_weight, LexiconScorer(lexicon_of(self.lm, units), len(lengths), log_probs.device)))
        found = beam_search(scorers, lengths, beam_size=self.beam_size, sos_eos=sos_eos)
        return [list(hypotheses[0].tokens) if hypotheses else [] for hypotheses in found]


@dataclass(frozen=True)
class Trial:
    """A path to evaluate, and how what it says is decoded."""

    path: Path
    decoding: Decoding = Decoding()


@torch.no_grad()
def transcribe(
    model: Recogniser, units: Units, waveforms: Tensor, num_samples: Tensor, trials: Sequence[Trial]
) -> list[list[str]]:
    """Transcripts of a batch, a list per trial.

    waveforms: (batch, samples) in [-1, 1] at the model's sample rate; num_samples: (batch,). The paths run together,
    common prefixes once; each is decoded greedily as soon as it is there, and searches run together in the end.
    """
    found: dict[int, list[list[int]]] = {}
    searched: dict[Decoding, dict[int, PathOutput]] = defaultdict(dict)
    for index, output in model.walk(waveforms, num_samples, [trial.path for trial in trials]):
        decoding = trials[index].decoding
        if decoding.method == "greedy":
            [found[index]] = decoding(model, [output], units)
        else:
            searched[decoding][index] = output
    for decoding, outputs in searched.items():
        found.update(zip(outputs, decoding(model, list(outputs.values()), units), strict=True))
    return [[units.decode(utterance) for utterance in found[index]] for index in range(len(trials))]

"""Words with their times and confidences, from CTC."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torchaudio
from torch import Tensor

from fold.decoding.greedy import ctc_greedy
from fold.errors import FoldError
from fold.losses import ctc_fits
from fold.text.units import Units


@dataclass(frozen=True)
class Word:
    """A word of a transcript.

    Attributes:
        text: as it is written.
        start, end: in seconds, where CTC places its first and its last unit.
        confidence: 0 to 1, the mean probability of its units there (the geometric one).
    """

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class FrameTimes:
    """When encoded frames are: each stands for `hop` samples around the middle of the `first` samples that make the
    first one. All counts are of samples at `sample_rate`, in Hz; `start` of them come before the first frame."""

    first: int
    hop: int
    sample_rate: int
    start: int = 0

    def span(self, frames: range) -> tuple[float, float]:
        """Begin and end of some frames, in seconds."""
        before = (self.first - self.hop) / 2
        begin, end = max(0.0, before + frames.start * self.hop), before + frames.stop * self.hop
        return (self.start + begin) / self.sample_rate, (self.start + end) / self.sample_rate


def words(ids: Sequence[int], log_probs: Tensor, units: Units, times: FrameTimes) -> list[Word]:
    """The words of a transcript.

    ids: its units; log_probs: (frames, units) of CTC, on any device, without padding.
    Raises FoldError if the frames cannot hold the transcript, as one that an attention decoder made up may be.
    """
    if not ids:
        return []
    if not ctc_fits(ids, len(log_probs)):
        raise FoldError(f"no times for a transcript of {len(ids)} units: CTC has only {len(log_probs)} frames")
    spans = _spans(ids, log_probs)
    found = []
    for text, members in _words_of(ids, units):
        frames = range(spans[members[0]][0].start, spans[members[-1]][0].stop)
        confidence = math.exp(sum(spans[member][1] for member in members) / len(members))
        found.append(Word(text, *times.span(frames), min(confidence, 1.0)))
    return found


def _spans(ids: Sequence[int], log_probs: Tensor) -> list[tuple[range, float]]:
    """The frames of each unit on the best alignment, and the mean log-probability that it has there."""
    log_probs = log_probs.float().cpu()
    scores, alignment = log_probs.max(-1)
    # What greedy decoding found lies on the best units, whose alignment takes no search. A search takes memory for
    # frames times units: an hour of speech would not fit.
    if ctc_greedy(log_probs[None], torch.tensor([len(log_probs)])) != [list(ids)]:
        [alignment], [scores] = torchaudio.functional.forced_align(
            log_probs[None], torch.tensor([list(ids)], dtype=torch.int32), blank=Units.blank
        )
    merged = torchaudio.functional.merge_tokens(alignment, scores, blank=Units.blank)
    return [(range(token.start, token.end), token.score) for token in merged]


def _words_of(ids: Sequence[int], units: Units) -> Iterator[tuple[str, list[int]]]:
    """Each word, and the positions of the units that its text comes from."""
    text, members = "", list[int]()
    for position in range(len(ids)):
        begun = members[0] if members else position
        found = units.decode(ids[begun : position + 1]).split()
        if len(found) > 1:
            yield text, members
            members = []
        if len(found) > 1 or (found and found[0] != text):
            members = [*members, position]
            text = found[-1]
    if members:
        yield text, members

"""Label-synchronous beam search of a batch of utterances: CTC, attention or both (Watanabe et al. 2017, IV)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Hypothesis:
    """A label sequence, without start and end symbols, and its log score."""

    tokens: tuple[int, ...]
    score: float


class Scorer(Protocol):
    """Scores hypotheses of a batch of utterances. What it knows of them is a state of its own kind, whose `scores`,
    (batch, hyps, units) float64, are the log probabilities of each hypothesis and one more unit."""

    def start(self) -> Any:
        """The state of one hypothesis an utterance, without labels."""

    def extend(self, state: Any, parents: Tensor, units: Tensor) -> Any:
        """The state of hypotheses `parents[b, i]` of utterance b extended by `units[b, i]`, both (batch, new_hyps)."""


@torch.no_grad()
def beam_search(
    scorers: Sequence[tuple[float, Scorer]],
    max_lengths: Sequence[int],
    *,
    beam_size: int,
    sos_eos: int,
    blank: int = 0,
    length_bonus: float = 0.0,
) -> list[list[Hypothesis]]:
    """Search for the label sequences y of each utterance that maximise

        sum over scorers of weight * log p(y, eos) + length_bonus * |y|

    where CTC ranks partial sequences by their *prefix* probability. Every unit of every hypothesis is scored exactly;
    only the beam prunes, and an ending competes in it like any other extension. Since log probabilities only fall as a
    hypothesis grows, an utterance's search ends as soon as no live hypothesis can join its `beam_size` best finished
    ones, and at its greatest length, where every live hypothesis must end. The host waits for the device once a label.

    Args:
        scorers: weights, and the scorers of the batch.
        max_lengths: most labels in a sequence of each utterance.
        beam_size: hypotheses kept per length, and the most that are returned.
        sos_eos: index of the unit that starts and ends a sequence.
        blank: index of the blank unit, never part of a sequence.
        length_bonus: added per label.

    Returns:
        Finished hypotheses of each utterance, best first; none if no sequence has a finite score.
    """
    states = [scorer.start() for _, scorer in scorers]
    searches = [_Search(limit, beam_size, sos_eos, length_bonus) for limit in max_lengths]
    limits = torch.tensor(max_lengths, device=states[0].scores.device)[:, None, None]
    dead: Tensor | None = None
    for length in itertools.count():
        total = sum(weight * state.scores for (weight, _), state in zip(scorers, states, strict=True))
        total = total + length_bonus * (length + 1)
        total[..., sos_eos] -= length_bonus
        ruled_out = (limits <= length).expand_as(total).clone()
        ruled_out[..., sos_eos] = False
        ruled_out[..., blank] = True
        if dead is not None:
            ruled_out |= dead[..., None]
        total = total.masked_fill(ruled_out, -torch.inf).nan_to_num(-math.inf, -math.inf, -math.inf)

        scores, places = total.flatten(1).topk(min(beam_size, total.shape[1] * total.shape[2]))
        parents, units = places // total.shape[2], places % total.shape[2]
        found = torch.stack([scores, parents.double(), units.double()], dim=-1).tolist()
        for search, extensions in zip(searches, found, strict=True):
            search.extend([(score, int(parent), int(unit)) for score, parent, unit in extensions])
        if all(search.over for search in searches):
            return [search.finished for search in searches]
        dead = scores.isinf() | (units == sos_eos)
        states = [scorer.extend(state, parents, units) for (_, scorer), state in zip(scorers, states, strict=True)]
    raise AssertionError("every search is over at its greatest length")


@dataclass
class _Search:
    """The host's part in the search of one utterance: labels of live hypotheses, and what is finished."""

    limit: int
    beam_size: int
    eos: int
    length_bonus: float
    live: list[tuple[int, ...]] = field(default_factory=lambda: [()])
    finished: list[Hypothesis] = field(default_factory=list)
    over: bool = False

    def extend(self, extensions: list[tuple[float, int, int]]) -> None:
        """Takes the best (score, hypothesis, unit), best first. Those without a finite score only fill the beam, and
        those that end keep their place in it."""
        if self.over:
            return
        length = len(self.live[0])
        possible = [extension for extension in extensions if math.isfinite(extension[0])]
        self.finished += [Hypothesis(self.live[parent], score) for score, parent, unit in possible if unit == self.eos]
        self.finished = sorted(self.finished, key=lambda hypothesis: -hypothesis.score)[: self.beam_size]
        best = next((score for score, _, unit in possible if unit != self.eos), -math.inf)
        reachable = best + max(self.length_bonus, 0.0) * (self.limit - length - 1)
        full = len(self.finished) == self.beam_size
        self.over = math.isinf(best) or (full and reachable <= self.finished[-1].score)
        self.live = [(*self.live[parent], unit) for _, parent, unit in extensions]

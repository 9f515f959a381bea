"""Label-synchronous beam search of one utterance: CTC, attention or both (Watanabe et al. 2017, IV)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fold.decoding.ctc_prefix import CTCPrefixScorer
from fold.errors import FoldError


@dataclass(frozen=True)
class Hypothesis:
    """A label sequence, without start and end symbols, and its log score."""

    tokens: tuple[int, ...]
    score: float


@torch.no_grad()
def beam_search(
    ctc_log_probs: Tensor | None,
    score_next: Callable[[Tensor], Tensor] | None,
    *,
    ctc_weight: float,
    beam_size: int,
    sos_eos: int,
    blank: int = 0,
    max_length: int | None = None,
    length_bonus: float = 0.0,
) -> list[Hypothesis]:
    """Search for the label sequences y that maximise

        ctc_weight * log p_ctc(y) + (1 - ctc_weight) * log p_att(y, eos) + length_bonus * |y|

    where partial sequences are ranked by the CTC *prefix* probability. Every unit of every hypothesis is
    scored exactly; only the beam prunes, and an ending competes in it like any other extension. Since log
    probabilities only fall as a hypothesis grows, the search ends as soon as no live one can join the
    `beam_size` best finished ones, and at `max_length`, where every live hypothesis must end.

    Args:
        ctc_log_probs: (time, units) CTC log probabilities of the utterance's valid frames.
        score_next: maps tokens (num_hyps, length), which begin with `sos_eos` and lie on the device of
            `ctc_log_probs` (the CPU without them), to log probabilities (num_hyps, units) of the next unit.
        ctc_weight: 1 for CTC alone, 0 for attention alone; a scorer of weight 0 is never run.
        beam_size: hypotheses kept per length, and the most that are returned.
        sos_eos: index of the unit that starts and ends a sequence.
        blank: index of the blank unit, never part of a sequence.
        max_length: most labels in a sequence; without it, the number of CTC frames.
        length_bonus: added per label.

    Returns:
        Finished hypotheses, best first; none if no sequence has a finite score.

    Raises:
        FoldError: a weight outside [0, 1], a weight whose scorer is missing, a beam below 1, no length limit.
    """
    _check(ctc_log_probs, score_next, ctc_weight, beam_size, max_length)
    limit = len(ctc_log_probs) if max_length is None else max_length
    weighted: list[tuple[float, CTCPrefixScorer | _AttentionScorer]] = []
    if ctc_weight > 0:
        weighted.append((ctc_weight, CTCPrefixScorer(ctc_log_probs, sos_eos, blank)))
    if ctc_weight < 1:
        device = torch.device("cpu") if ctc_log_probs is None else ctc_log_probs.device
        weighted.append((1 - ctc_weight, _AttentionScorer(score_next, sos_eos, device)))

    states = [scorer.start() for _, scorer in weighted]
    live: list[tuple[int, ...]] = [()]
    finished: list[Hypothesis] = []
    for length in range(limit + 1):
        total = sum(weight * state.scores for (weight, _), state in zip(weighted, states, strict=True))
        total = total + length_bonus * (length + 1)
        total[:, sos_eos] -= length_bonus
        total[:, blank] = -torch.inf
        best = _best_extensions(total if length < limit else _only(total, sos_eos), beam_size)

        finished += [Hypothesis(live[parent], score) for score, parent, unit in best if unit == sos_eos]
        finished = sorted(finished, key=lambda hypothesis: -hypothesis.score)[:beam_size]
        best = [extension for extension in best if extension[2] != sos_eos]
        reachable = best[0][0] + max(length_bonus, 0.0) * (limit - length - 1) if best else -math.inf
        if not best or (len(finished) == beam_size and reachable <= finished[-1].score):
            break
        live = [(*live[parent], unit) for _, parent, unit in best]
        chosen = torch.tensor([extension[1:] for extension in best], device=total.device)
        states = [
            scorer.extend(state, chosen[:, 0], chosen[:, 1])
            for (_, scorer), state in zip(weighted, states, strict=True)
        ]
    return finished


@dataclass(frozen=True)
class _AttentionState:
    tokens: Tensor  # (num_hyps, length), the start symbol included
    scores: Tensor  # (num_hyps, units) log probability of the tokens and one more unit


class _AttentionScorer:
    def __init__(self, score_next: Callable[[Tensor], Tensor], sos: int, device: torch.device) -> None:
        self.score_next = score_next
        self.sos = sos
        self.device = device

    def start(self) -> _AttentionState:
        tokens = torch.tensor([[self.sos]], device=self.device)
        return _AttentionState(tokens, self.score_next(tokens).double())

    def extend(self, state: _AttentionState, parents: Tensor, units: Tensor) -> _AttentionState:
        tokens = torch.cat([state.tokens[parents], units[:, None]], dim=1)
        so_far = state.scores[parents, units]
        return _AttentionState(tokens, so_far[:, None] + self.score_next(tokens).double())


def _only(total: Tensor, unit: int) -> Tensor:
    """The scores with every unit but one ruled out."""
    ruled_out = torch.full_like(total, -torch.inf)
    ruled_out[:, unit] = total[:, unit]
    return ruled_out


def _best_extensions(total: Tensor, beam_size: int) -> list[tuple[float, int, int]]:
    """The best finite (score, hypothesis, unit) of `total` (num_hyps, units), best first, in one transfer."""
    scores, places = total.flatten().topk(min(beam_size, total.numel()))
    rows = torch.stack([scores, places.double()]).T.tolist()
    units = total.shape[1]
    return [(score, *divmod(int(place), units)) for score, place in rows if math.isfinite(score)]


def _check(
    ctc_log_probs: Tensor | None,
    score_next: Callable[[Tensor], Tensor] | None,
    ctc_weight: float,
    beam_size: int,
    max_length: int | None,
) -> None:
    if not 0 <= ctc_weight <= 1:
        raise FoldError(f"ctc_weight is {ctc_weight}; it must lie in [0, 1], from attention alone to CTC alone")
    if ctc_weight > 0 and ctc_log_probs is None:
        raise FoldError(f"ctc_weight {ctc_weight} needs CTC log probabilities, and there are none; use 0")
    if ctc_weight < 1 and score_next is None:
        raise FoldError(f"ctc_weight {ctc_weight} needs an attention decoder, and there is none; use 1")
    if beam_size < 1:
        raise FoldError(f"beam_size is {beam_size}; it must be at least 1")
    if max_length is None and ctc_log_probs is None:
        raise FoldError("max_length is missing; without CTC frames nothing else bounds the search")

"""CTC prefix scores for label-synchronous search, batched over utterances, hypotheses and units.

The recursion is Algorithm 2 of Watanabe et al. 2017, "Hybrid CTC/Attention Architecture for End-to-End Speech
Recognition". For a prefix g, let n(t) and b(t) be the probabilities of all alignments of the first t frames
that spell g and end in a label or in a blank. Extending g by the unit c to h = gc,

    phi(t) = b_g(t) + n_g(t)              (without n_g where c repeats the last unit of g)
    n_h(t) = (n_h(t-1) + phi(t-1)) p(c, t)
    b_h(t) = (b_h(t-1) + n_h(t-1)) p(blank, t)
    prefix probability of h = sum over t of phi(t-1) p(c, t)
    probability of g alone  = n_g(T) + b_g(T)

Two observations make it fast. The prefix probability needs the state of g only, so one matrix product scores
every unit exactly and only the extensions that survive need a state. And both recursions are linear,
r(t) = (r(t-1) + x(t-1)) p(t), hence r(t) = P(t) * sum over s <= t of x(s-1) / P(s-1) with P the running
product of p: a cumulative sum in place of a loop over frames. Quotients of long products want float64.

Utterances of a batch differ in length. A frame past the end is a certain blank: it adds no label and takes nothing
from any probability, so that what holds after the last frame of the batch holds after each utterance's own.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from fold.modules.masks import length_mask

LOWEST = -1e5  # stands for log 0 inside running products, where -inf would give inf - inf


@dataclass(frozen=True)
class PrefixState:
    """Prefixes: forward log probabilities after 0, 1, ..., time frames and scores of what may follow.

    Attributes:
        label: (batch, hyps, time + 1) over alignments that end in the last label of the prefix.
        blank: (batch, hyps, time + 1) over alignments that end in blank.
        last: (batch, hyps) last unit of each prefix; the blank for the empty prefix.
        scores: (batch, hyps, units) log prefix probability of every one-unit extension; in the eos column the
            log probability of the unextended sequence over the whole utterance, in the blank column -inf.
    """

    label: Tensor
    blank: Tensor
    last: Tensor
    scores: Tensor


class CTCPrefixScorer:
    """Scores the extensions of prefixes of a batch of utterances.

    Args:
        log_probs: (batch, time, units) CTC log probabilities, on any device that has float64.
        num_frames: (batch,) valid frames of each utterance.
        eos: index of the unit that ends a sequence, which CTC itself never emits.
        blank: index of the blank unit.
    """

    def __init__(self, log_probs: Tensor, num_frames: Tensor, eos: int, blank: int = 0) -> None:
        past = ~length_mask(num_frames, log_probs.shape[1], log_probs.device)
        self.log_probs = log_probs.masked_fill(past[..., None], -torch.inf)
        self.log_probs[..., blank].masked_fill_(past, 0.0)
        self.probs = self.log_probs.double().exp()
        self.eos = eos
        self.blank = blank
        self.rows = torch.arange(len(log_probs), device=log_probs.device)[:, None]
        self.blank_product = _log_products(self._of(torch.full_like(self.rows, blank)))

    def start(self) -> PrefixState:
        """The state of one hypothesis an utterance, the empty prefix."""
        blank = self.blank_product
        return self._state(torch.full_like(blank, -torch.inf), blank, torch.full_like(self.rows, self.blank))

    def extend(self, state: PrefixState, parents: Tensor, units: Tensor) -> PrefixState:
        """The state of new prefixes, hypothesis `parents[b, i]` of utterance b extended by `units[b, i]`.

        parents, units: (batch, new_hyps).
        """
        repeats = state.last[self.rows, parents] == units
        label = state.label[self.rows, parents].masked_fill(repeats[..., None], -torch.inf)
        entering = torch.logaddexp(label, state.blank[self.rows, parents])
        label = _accumulate(entering, _log_products(self._of(units)))
        blank = _accumulate(label, self.blank_product)
        return self._state(label, blank, units)

    def _of(self, units: Tensor) -> Tensor:
        """Log probabilities of units (batch, hyps) in each frame: (batch, hyps, time) float64."""
        return self.log_probs.transpose(1, 2)[self.rows, units].double()

    def _state(self, label: Tensor, blank: Tensor, last: Tensor) -> PrefixState:
        either = torch.logaddexp(label, blank)
        # Relative to each prefix's best frame, so that only terms 700 nats below it are lost.
        peak = either.amax(dim=2, keepdim=True).clamp(min=torch.finfo(either.dtype).min)
        scores = ((either[..., :-1] - peak).exp() @ self.probs).log() + peak
        repeated = torch.logsumexp(blank[..., :-1] + self._of(last), dim=2)
        scores.scatter_(2, last[..., None], repeated[..., None])
        scores[..., self.blank] = -torch.inf
        scores[..., self.eos] = either[..., -1]
        return PrefixState(label, blank, last, scores)


def _log_products(log_probs: Tensor) -> Tensor:
    """Log of the running products over the first 0, 1, ..., time frames: (..., time) to (..., time + 1)."""
    return pad(log_probs.clamp(min=LOWEST).cumsum(dim=-1), (1, 0))


def _accumulate(entering: Tensor, log_product: Tensor) -> Tensor:
    """Solve r(t) = (r(t-1) + x(t-1)) p(t), r(0) = 0, in the log domain.

    Args:
        entering: (batch, hyps, time + 1) log x.
        log_product: (batch, hyps or 1, time + 1), the sum of log p over the first 0, 1, ... frames.
    """
    quotients = entering[..., :-1] - log_product[..., :-1]
    return pad(log_product[..., 1:] + quotients.logcumsumexp(dim=-1), (1, 0), value=-torch.inf)

"""CTC prefix scores for label-synchronous search, batched over hypotheses and units.

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
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

LOWEST = -1e5  # stands for log 0 inside running products, where -inf would give inf - inf


@dataclass(frozen=True)
class PrefixState:
    """Prefixes: forward log probabilities after 0, 1, ..., time frames and scores of what may follow.

    Attributes:
        label: (num_hyps, time + 1) over alignments that end in the last label of the prefix.
        blank: (num_hyps, time + 1) over alignments that end in blank.
        last: (num_hyps,) last unit of each prefix; the blank for the empty prefix.
        scores: (num_hyps, units) log prefix probability of every one-unit extension; in the eos column the
            log probability of the unextended sequence over the whole utterance, in the blank column -inf.
    """

    label: Tensor
    blank: Tensor
    last: Tensor
    scores: Tensor


class CTCPrefixScorer:
    """Scores the extensions of prefixes of one utterance.

    Args:
        log_probs: (time, units) CTC log probabilities, on any device that has float64.
        eos: index of the unit that ends a sequence, which CTC itself never emits.
        blank: index of the blank unit.
    """

    def __init__(self, log_probs: Tensor, eos: int, blank: int = 0) -> None:
        log_probs = log_probs.double()
        self.eos = eos
        self.blank = blank
        # Row t holds frame t + 1; nothing can be emitted after the last frame.
        self.next_log_probs = pad(log_probs, (0, 0, 0, 1), value=-torch.inf)
        self.next_probs = self.next_log_probs.exp()
        self.log_products = pad(log_probs.clamp(min=LOWEST).cumsum(dim=0), (0, 0, 1, 0)).T.contiguous()

    def start(self) -> PrefixState:
        """The state of one hypothesis, the empty prefix."""
        blank = self.log_products[self.blank].unsqueeze(0)
        last = torch.full((1,), self.blank, device=blank.device)
        return self._state(torch.full_like(blank, -torch.inf), blank, last)

    def extend(self, state: PrefixState, parents: Tensor, units: Tensor) -> PrefixState:
        """The state of new prefixes: hypothesis `parents[i]` extended by `units[i]`, both (new_hyps,)."""
        repeats = state.last[parents] == units
        label = state.label[parents].masked_fill(repeats[:, None], -torch.inf)
        entering = torch.logaddexp(label, state.blank[parents])
        label = _accumulate(entering, self.log_products[units])
        blank = _accumulate(label, self.log_products[self.blank])
        return self._state(label, blank, units)

    def _state(self, label: Tensor, blank: Tensor, last: Tensor) -> PrefixState:
        either = torch.logaddexp(label, blank)
        # Relative to each prefix's best frame, so that only terms 700 nats below it are lost.
        peak = either.amax(dim=1, keepdim=True).clamp(min=torch.finfo(either.dtype).min)
        scores = ((either - peak).exp() @ self.next_probs).log() + peak
        repeated = torch.logsumexp(blank + self.next_log_probs[:, last].T, dim=1)
        scores.scatter_(1, last[:, None], repeated[:, None])
        scores[:, self.blank] = -torch.inf
        scores[:, self.eos] = either[:, -1]
        return PrefixState(label, blank, last, scores)


def _accumulate(entering: Tensor, log_product: Tensor) -> Tensor:
    """Solve r(t) = (r(t-1) + x(t-1)) p(t), r(0) = 0, in the log domain.

    Args:
        entering: (num_hyps, time + 1) log x.
        log_product: (time + 1,) or (num_hyps, time + 1), the sum of log p over the first 0, 1, ... frames.
    """
    quotients = entering[:, :-1] - log_product[..., :-1]
    return pad(log_product[..., 1:] + quotients.logcumsumexp(dim=1), (1, 0), value=-torch.inf)

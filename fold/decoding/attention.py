"""Scores of an attention decoder for label-synchronous search, a step a label."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fold.modules.decoder import AttentionDecoder, DecoderCache
from fold.modules.masks import length_mask


@dataclass(frozen=True)
class AttentionState:
    """Hypotheses of a batch. cache: of their tokens; scores: (batch, hyps, units) float64 log probability of the tokens
    and one more unit."""

    cache: DecoderCache
    scores: Tensor


class AttentionScorer:
    """Scores the extensions of hypotheses of a batch of utterances.

    Args:
        decoder: in eval mode.
        encoded: (batch, time, dim) encoded frames.
        num_frames: (batch,) valid frames of each utterance.
        sos: index of the unit that starts a sequence.
    """

    def __init__(self, decoder: AttentionDecoder, encoded: Tensor, num_frames: Tensor, sos: int) -> None:
        self.decoder = decoder
        self.cache = decoder.start(encoded, length_mask(num_frames, encoded.shape[1], encoded.device))
        self.rows = torch.arange(len(encoded), device=encoded.device)[:, None]
        self.sos = sos

    def start(self) -> AttentionState:
        """One hypothesis an utterance, without labels."""
        tokens = torch.full_like(self.rows, self.sos)
        return self._state(tokens, self.cache, torch.zeros_like(tokens).double())

    def extend(self, state: AttentionState, parents: Tensor, units: Tensor) -> AttentionState:
        """Hypothesis `parents[b, i]` of utterance b extended by `units[b, i]`, both (batch, new_hyps)."""
        return self._state(units, state.cache.follow(parents), state.scores[self.rows, parents, units])

    def _state(self, tokens: Tensor, cache: DecoderCache, so_far: Tensor) -> AttentionState:
        logits, cache = self.decoder.step(tokens, cache)
        return AttentionState(cache, so_far[..., None] + logits.float().log_softmax(-1).double())

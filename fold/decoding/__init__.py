"""From log probabilities to label sequences: greedy CTC, and beam search with CTC, attention or both."""

from fold.decoding.beam import Hypothesis, Scorer, beam_search
from fold.decoding.greedy import ctc_greedy

__all__ = ["Hypothesis", "Scorer", "beam_search", "ctc_greedy"]

"""Whether two systems differ on the same test set: MAPSSWE, paired bootstrap, equivalence.

An utterance is a triple (reference, hypothesis of A, hypothesis of B). Differences are A minus B: a positive one says
that A makes more errors.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, median, stdev
from typing import Literal

import numpy as np
from rapidfuzz.distance import Levenshtein

from fold.errors import FoldError
from fold.metrics.errors import count_errors

Triple = tuple[str, str, str]
Verdict = Literal["better", "worse", "equivalent", "no significant difference"]

GOOD_WORDS = 2  # words that both systems have right, in a row, end a segment (as in NIST's sc_stats)
LEVEL = 0.05


@dataclass(frozen=True)
class MatchedPairs:
    """Outcome of the matched-pair sentence-segment word error test.

    segments: stretches in which either system errs; mean, deviation: of their differences in errors, A minus B;
    z: of the mean, standard normal where the systems err alike; p: of as large a difference either way.
    """

    segments: int
    mean: float
    deviation: float
    z: float
    p: float


@dataclass(frozen=True)
class Bootstrap:
    """Outcome of the paired bootstrap, in percent of WER, A minus B.

    low, high: 95 % confidence interval; low90, high90: 90 %, which serves two one-sided tests at 5 %;
    p: share of resamples on the other side of zero, twice.
    """

    difference: float
    low: float
    high: float
    low90: float
    high90: float
    p: float


def mapsswe(triples: Iterable[Triple]) -> MatchedPairs:
    """The matched-pair sentence-segment word error test (Gillick & Cox, 1989, "Some statistical issues in the
    comparison of speech recognition algorithms", equations 2 to 4; segments as in Pallett et al., 1990).

    Errors are counted in segments between stretches of at least two words that both systems have right, so that the
    differences of segments are nearly independent; ends of utterances are boundaries too.
    The normal approximation wants some dozens of segments. Where all differences are equal it says nothing, and p is
    that of so many equal signs.
    """
    differences = [a - b for triple in triples for a, b in segments(*triple)]
    count = len(differences)
    if not any(differences):
        return MatchedPairs(count, 0.0, 0.0, 0.0, 1.0)
    mean = fmean(differences)
    deviation = stdev(differences) if count > 1 else 0.0
    if deviation == 0:
        return MatchedPairs(count, mean, 0.0, math.copysign(math.inf, mean), 2.0 ** (1 - count))
    z = mean / (deviation / math.sqrt(count))
    return MatchedPairs(count, mean, deviation, z, 2 * NormalDist().cdf(-abs(z)))


def segments(reference: str, hypothesis_a: str, hypothesis_b: str) -> list[tuple[int, int]]:
    """The segments of an utterance, as the errors of A and B in each; none where both are right throughout."""
    words = reference.split()
    found: list[tuple[int, int]] = []
    good = GOOD_WORDS  # a segment may begin with the utterance
    errors = zip(_errors_by_place(words, hypothesis_a), _errors_by_place(words, hypothesis_b), strict=True)
    for place, (a, b) in enumerate(errors):
        if a or b:
            earlier = found.pop() if good < GOOD_WORDS else (0, 0)
            found.append((earlier[0] + a, earlier[1] + b))
            good = 0
        elif place % 2:
            good += 1
    return found


def _errors_by_place(words: Sequence[str], hypothesis: str) -> list[int]:
    """Errors at the gap before each word (insertions), at each word, and at the gap behind the last."""
    errors = [0] * (2 * len(words) + 1)
    for edit in Levenshtein.editops(words, hypothesis.split()):
        errors[2 * edit.src_pos + (edit.tag != "insert")] += 1
    return errors


def bootstrap(differences: Sequence[float], words: Sequence[int], resamples: int = 10_000, seed: int = 0) -> Bootstrap:
    """The paired bootstrap over utterances (Bisani & Ney, 2004, "Bootstrap estimates for confidence intervals in ASR
    performance evaluation"): both systems are scored on the same resampled utterances.

    differences: word errors of A minus those of B, an utterance each (see `error_differences`); words: of references.
    Raises FoldError if the references have no word.
    """
    errors, lengths = np.asarray(differences, dtype=np.float64), np.asarray(words, dtype=np.int64)
    if not lengths.sum():
        raise FoldError("the references have no word: there is nothing to compare")
    generator = np.random.default_rng(seed)
    drawn: list[float] = []
    while len(drawn) < resamples:
        chosen = generator.integers(len(errors), size=(min(500, resamples - len(drawn)), len(errors)))
        drawn += (100 * errors[chosen].sum(1) / lengths[chosen].sum(1).clip(min=1)).tolist()
    low, low90, high90, high = np.quantile(drawn, [0.025, 0.05, 0.95, 0.975]).tolist()
    # Ties count for both sides, so that identical systems have p = 1.
    sides = [np.mean(np.less_equal(drawn, 0)), np.mean(np.greater_equal(drawn, 0))]
    difference = 100 * float(errors.sum() / lengths.sum())
    return Bootstrap(difference, low, high, low90, high90, min(1.0, 2 * float(min(sides))))


def error_differences(triples: Iterable[Triple]) -> list[int]:
    """Word errors of A minus those of B in each utterance."""
    return [count_errors(ref, a).word_errors - count_errors(ref, b).word_errors for ref, a, b in triples]


def combined(p_values: Sequence[float]) -> float:
    """One p for several tests of the same hypothesis, however they depend on each other: twice their median
    (Rueschendorf, 1982, "Random variables with maximum sums"). Of a single test, its own."""
    return p_values[0] if len(p_values) == 1 else min(1.0, 2 * median(p_values))


def verdict(difference: float, p: float, interval: Bootstrap, margin: float) -> Verdict:
    """What may be said of A beside B, at the 5 % level.

    difference: of A minus B, of which the sign counts; p: of the test that they are alike; margin: percent of WER.
    "better" or "worse" where the test finds a difference. Otherwise "equivalent" if the 90 % interval lies within
    +- margin (two one-sided tests, Schuirmann, 1987), and if it does not, "no significant difference": the test set is
    too small to tell.
    """
    if p < LEVEL:
        return "worse" if difference > 0 else "better"
    if -margin < interval.low90 and interval.high90 < margin:
        return "equivalent"
    return "no significant difference"

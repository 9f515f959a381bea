"""Whether two systems differ on the same test set: MAPSSWE, paired bootstrap, equivalence.

An utterance is a triple (reference, hypothesis of A, hypothesis of B). Differences are A minus B: a positive one says
that A makes more errors.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist, fmean, median, stdev
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from rapidfuzz.distance import Levenshtein

from fold.errors import FoldError
from fold.metrics.errors import count_errors

Triple = tuple[str, str, str]
Verdict = Literal["better", "worse", "equivalent", "no significant difference"]

GOOD_WORDS = 2  # words that both systems have right, in a row, end a segment (as in NIST's sc_stats)
FEW_SEGMENTS = 30  # below it the normal approximation is not trusted
LEVEL = 0.05
UNSEEN = 3  # rule of three: what befalls none of n words has, with 95 % confidence, a rate below 3 / n


@dataclass(frozen=True)
class MatchedPairs:
    """Outcome of the matched-pair sentence-segment word error test.

    segments: stretches in which either system errs; mean, deviation: of their differences in errors, A minus B;
    z: of the mean, standard normal where the systems err alike; p: of as large a difference either way, with few
    segments from the exact sign-flip test.
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
    p: share of resamples on the other side of zero, twice; words: of the references.
    """

    difference: float
    low: float
    high: float
    low90: float
    high90: float
    p: float
    words: int


def mapsswe(triples: Iterable[Triple]) -> MatchedPairs:
    """The matched-pair sentence-segment word error test (Gillick & Cox, 1989, "Some statistical issues in the
    comparison of speech recognition algorithms", equations 2 to 4; segments as in Pallett et al., 1990).

    Errors are counted in segments between stretches of at least two words that both systems have right, so that the
    differences of segments are nearly independent; ends of utterances are boundaries too.
    The normal approximation wants some dozens of segments and differences that are not all equal; elsewhere p is that
    of `sign_flip`.
    """
    differences = [a - b for triple in triples for a, b in segments(*triple)]
    count = len(differences)
    if not any(differences):
        return MatchedPairs(count, 0.0, 0.0, 0.0, 1.0)
    mean = fmean(differences)
    deviation = stdev(differences) if count > 1 else 0.0
    z = mean / (deviation / math.sqrt(count)) if deviation else math.copysign(math.inf, mean)
    normal = deviation > 0 and count >= FEW_SEGMENTS
    return MatchedPairs(count, mean, deviation, z, 2 * NormalDist().cdf(-abs(z)) if normal else sign_flip(differences))


def sign_flip(differences: Sequence[int]) -> float:
    """Share of all choices of signs that make a sum at least as far from zero: exact where A and B err alike (Fisher's
    randomisation test for pairs; Pitman, 1937, "Significance tests which may be applied to samples from any
    populations")."""
    largest = sum(map(abs, differences))
    share = np.zeros(2 * largest + 1)  # of choices so far, by their sum + largest
    share[largest] = 1
    for difference in differences:
        share = (np.roll(share, difference) + np.roll(share, -difference)) / 2
    return float(share[np.abs(np.arange(-largest, largest + 1)) >= abs(sum(differences))].sum())


def segments(reference: str, hypothesis_a: str, hypothesis_b: str) -> list[tuple[int, int]]:
    """The segments of an utterance, as the errors of A and B in each; none where both are right throughout."""
    if hypothesis_a == hypothesis_b == reference:
        return []
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


def bootstrap(
    errors_a: ArrayLike, errors_b: ArrayLike, words: ArrayLike, resamples: int = 10_000, seed: int = 0
) -> Bootstrap:
    """The paired bootstrap over utterances (Bisani & Ney, 2004, "Bootstrap estimates for confidence intervals in ASR
    performance evaluation"): both systems are scored on the same resampled utterances. Of several runs each system's
    are resampled too, so that the interval is that of systems and not of these very runs.

    errors_a, errors_b: word errors, (runs, utterances), where the numbers of runs may differ; words: of the
    references, (utterances,). Raises FoldError if the references contain no words.
    """
    a, b, lengths = np.asarray(errors_a), np.asarray(errors_b), np.asarray(words)
    if not lengths.sum():
        raise FoldError("the references contain no words: there is nothing to compare")
    generator = np.random.default_rng([seed, 1])  # not the draws of utterances
    drawn_a, drawn_b, drawn_words = (_of_resamples(values, resamples, seed) for values in (a, b, lengths[None]))
    difference = _mean_of_drawn(drawn_a, generator) - _mean_of_drawn(drawn_b, generator)
    drawn = 100 * difference / drawn_words[0].clip(min=1)
    low, low90, high90, high = np.quantile(drawn, [0.025, 0.05, 0.95, 0.975]).tolist()
    # Ties count for both sides, so that identical systems have p = 1.
    sides = [np.mean(np.less_equal(drawn, 0)), np.mean(np.greater_equal(drawn, 0))]
    difference = 100 * float((a.mean(0) - b.mean(0)).sum() / lengths.sum())
    return Bootstrap(difference, low, high, low90, high90, min(1.0, 2 * float(min(sides))), int(lengths.sum()))


def _of_resamples(values: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Sums over resampled utterances, (runs, resamples); values: (runs, utterances)."""
    values = values.astype(np.float32)  # whole numbers, exact up to 2 ** 24
    return np.concatenate(
        [values @ times.T.astype(np.float32) for times in _resamples(values.shape[1], resamples, seed)], axis=1
    )


@lru_cache(maxsize=1)
def _resamples(utterances: int, resamples: int, seed: int) -> list[np.ndarray]:
    """How often each utterance is drawn, (some resamples, utterances) each."""
    generator = np.random.default_rng(seed)
    found = []
    for start in range(0, resamples, 500):
        size = min(500, resamples - start)
        drawn = generator.integers(utterances, size=(size, utterances)) + utterances * np.arange(size)[:, None]
        found.append(np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape).astype(np.uint8))
    return found


def _mean_of_drawn(errors: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Mean over as many runs as there are, drawn with replacement; errors: (runs, resamples)."""
    drawn = np.take_along_axis(errors, generator.integers(len(errors), size=errors.shape), axis=0)
    means: np.ndarray = drawn.mean(0)
    return means


def word_errors(references: Iterable[str], hypotheses: Iterable[str]) -> list[int]:
    """Of each utterance."""
    return [count_errors(*texts).word_errors for texts in zip(references, hypotheses, strict=True)]


def combined(tests: Sequence[MatchedPairs], difference: float) -> float:
    """One p for tests of several pairs of runs, however they depend on each other: twice the median p (Rueger, 1978,
    "Das maximale Signifikanzniveau des Tests: Lehne H0 ab, wenn k unter n gegebenen Tests zur Ablehnung fuehren").

    difference: of all runs together. Tests count for its direction, so that runs that contradict each other prove
    nothing. Of a single test its own p.
    """
    if len(tests) == 1:
        return tests[0].p
    one_sided = [test.p / 2 if test.z * difference > 0 else 1 - test.p / 2 for test in tests]
    return min(1.0, 2 * 2 * median(one_sided))


def verdict(p: float, interval: Bootstrap, margin: float) -> Verdict:
    """What may be said of A beside B, at the 5 % level.

    p: of the test that they are alike; interval: of A minus B; margin: percent of WER.
    "better" or "worse" where the test finds a difference. Otherwise "equivalent" if the 90 % interval lies within
    +- margin (two one-sided tests, Schuirmann, 1987) on a test set that would show so small a difference at all; and
    else "no significant difference": the test set is too small to tell.
    """
    if p < LEVEL:
        return "worse" if interval.difference > 0 else "better"
    if -margin < interval.low90 and interval.high90 < margin and 100 * UNSEEN / interval.words < margin:
        return "equivalent"
    return "no significant difference"

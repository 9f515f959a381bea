"""Significance tests: against hand-made cases, against NIST's tools, and on simulated systems whose truth is known."""

import math
import random
import shutil
from itertools import product

import numpy as np
import pytest

from fold.errors import FoldError
from fold.metrics.errors import count_errors
from fold.metrics.significance import (
    Bootstrap,
    MatchedPairs,
    bootstrap,
    combined,
    mapsswe,
    segments,
    sign_flip,
    verdict,
    word_errors,
)
from studies.significance import nist, rates, simulated


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("a b c d e f", "a b c d e f", []),
        ("x b c d e f", "a b c d e f", [(1, 0)]),
        ("x b c d e y", "a b c d e f", [(1, 0), (1, 0)]),  # b to e are right in both: two segments
        ("x b y d e f", "a b c d e f", [(2, 0)]),  # one right word between them is too little
        ("x b c d e f", "a b y d e f", [(1, 1)]),
        ("x b c d e f", "a b c y e f", [(1, 0), (0, 1)]),
        ("a b c z d e f", "a b c d e f", [(1, 0)]),  # insertion
        ("a b z c d e f", "x b c d e f", [(1, 1)]),  # one right word before the insertion
        ("", "a b c d e f", [(6, 0)]),
    ],
)
def test_segments_are_cut_where_both_have_two_words_right(a: str, b: str, expected: list[tuple[int, int]]) -> None:
    assert segments("a b c d e f", a, b) == expected


def test_mapsswe_of_a_hand_made_case() -> None:
    worse, better, alike = ("a b c", "x b c", "a b c"), ("a b c", "a b c", "x b c"), ("a b c", "a b c", "a b c")
    test = mapsswe([worse] * 24 + [better] * 8 + [alike] * 9)  # utterances without an error are no segments
    assert (test.segments, test.mean) == (32, 0.5)
    deviation = math.sqrt((24 * 0.25 + 8 * 2.25) / 31)
    assert test.deviation == pytest.approx(deviation)
    assert test.z == pytest.approx(0.5 / (deviation / math.sqrt(32)))
    assert test.p == pytest.approx(math.erfc(test.z / math.sqrt(2)))


def test_few_segments_are_tested_exactly() -> None:
    worse, better = ("a b c", "x b c", "a b c"), ("a b c", "a b c", "x b c")
    at_least_six_of_eight_alike = 2 * (math.comb(8, 0) + math.comb(8, 1) + math.comb(8, 2)) / 2**8
    assert mapsswe([worse] * 6 + [better] * 2).p == pytest.approx(at_least_six_of_eight_alike)
    differences = [3, -1, 2, 0, 1, -2, 5]
    sums = [sum(s * d for s, d in zip(signs, differences, strict=True)) for signs in product((1, -1), repeat=7)]
    assert sign_flip(differences) == pytest.approx(sum(abs(s) >= sum(differences) for s in sums) / len(sums))


def test_segments_hold_every_error_and_swapping_the_systems_swaps_the_sign() -> None:
    triples = simulated(0.2, 0.3, 50, random.Random(1))
    for reference, a, b in triples:
        found = segments(reference, a, b)
        assert sum(of_a for of_a, _ in found) == count_errors(reference, a).word_errors
        assert sum(of_b for _, of_b in found) == count_errors(reference, b).word_errors
    one, other = mapsswe(triples), mapsswe([(reference, b, a) for reference, a, b in triples])
    assert (one.segments, one.z, one.p) == (other.segments, -other.z, other.p)
    assert one.z < 0


def test_systems_that_err_alike_do_not_differ() -> None:
    triples = [(reference, a, a) for reference, a, _ in simulated(0.2, 0.2, 20, random.Random(1))]
    assert mapsswe(triples).p == 1
    errors = [word_errors(*zip(*((reference, a) for reference, a, _ in triples), strict=True))]
    found = bootstrap(errors, errors, [5] * 20)
    assert (found.difference, found.low, found.high, found.p, found.words) == (0, 0, 0, 1, 100)
    assert mapsswe([]).p == 1


def test_equal_differences_in_few_segments_prove_little() -> None:
    one_sided = [("a b c", "x b c", "a b c")]
    assert mapsswe(one_sided).p == 1
    assert mapsswe(one_sided * 5).p == pytest.approx(2 / 2**5)


def test_false_positives_are_one_in_twenty_where_the_systems_are_alike() -> None:
    generator = random.Random(7)
    trials, level = 400, 0.05
    false = sum(mapsswe(simulated(0.15, 0.15, 60, generator)).p < level for _ in range(trials))
    noise = 3 * math.sqrt(level * (1 - level) / trials)
    assert abs(false / trials - level) < noise, false / trials


def test_a_real_difference_is_found() -> None:
    generator = random.Random(8)
    found = [mapsswe(simulated(0.2, 0.12, 150, generator)) for _ in range(40)]
    assert sum(test.p < 0.05 and test.z > 0 for test in found) > 36


def test_bootstrap_interval_covers_the_truth() -> None:
    generator = random.Random(9)
    references, a, b = zip(*simulated(0.2, 0.15, 4000, generator), strict=True)
    errors = [np.array([word_errors(references, said)]) for said in (a, b)]
    words = np.array([len(reference.split()) for reference in references])
    truth = 100 * (errors[0] - errors[1]).sum() / words.sum()
    covered = 0
    for trial in range(150):
        chosen = generator.choices(range(len(words)), k=100)
        found = bootstrap(*(of_one[:, chosen] for of_one in errors), words[chosen], resamples=400, seed=trial)
        assert found.low < found.low90 < found.high90 < found.high
        covered += found.low <= truth <= found.high
    assert 0.89 < covered / 150 <= 0.99, covered / 150


def test_bootstrap_takes_all_runs_and_their_spread() -> None:
    generator = np.random.default_rng(3)
    words = np.full(300, 10)
    alike, apart = (generator.binomial(10, [[rate]] * 3, (3, 300)) for rate in (0.2, 0.1))
    apart[0] += generator.binomial(1, 0.9, 300)  # one run of three is far worse
    found = bootstrap(apart, alike[:2], words)
    assert found.difference == pytest.approx(100 * (apart.sum() / 3 - alike[:2].sum() / 2) / 3000)
    steady = bootstrap(np.roll(alike, 1, axis=1), alike[:2], words)
    assert found.high - found.low > 1.5 * (steady.high - steady.low)
    other = bootstrap(alike[:2], apart, words)
    assert (other.low, other.high) == pytest.approx((-found.high, -found.low), abs=0.3)


def test_bootstrap_needs_words() -> None:
    with pytest.raises(FoldError, match="no word"):
        bootstrap([[0, 1]], [[0, 0]], [0, 0])


def test_seeds_are_combined_by_twice_their_median() -> None:
    def tests(*ps: float) -> list[MatchedPairs]:
        return [MatchedPairs(50, 0.0, 1.0, math.copysign(2, p), abs(p)) for p in ps]  # a negative p: A is better

    assert combined(tests(0.03), 1) == 0.03
    assert combined(tests(0.01, 0.04, 0.9), 1) == pytest.approx(0.08)
    assert combined(tests(0.7, 0.8, 0.9), 1) == 1
    assert combined(tests(0.01, -0.01), 1) == 1 == combined(tests(0.01, -0.01), -1)
    assert combined(tests(0.01, -0.01, -0.01), 1) == 1
    assert combined(tests(0.01, -0.01, -0.01), -1) == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("p", "difference", "interval90", "expected"),
    [
        (0.01, 0.4, (0.2, 0.6), "worse"),
        (0.01, -0.4, (-0.6, -0.2), "better"),
        (0.3, 0.1, (-0.2, 0.4), "equivalent"),
        (0.3, 0.1, (-0.2, 0.6), "no significant difference"),
        (0.3, -0.1, (-0.5, 0.2), "no significant difference"),
    ],
)
def test_not_significant_is_not_equivalent(
    p: float, difference: float, interval90: tuple[float, float], expected: str
) -> None:
    interval = Bootstrap(difference, interval90[0] - 0.1, interval90[1] + 0.1, *interval90, p, words=1000)
    assert verdict(p, interval, margin=0.5) == expected


def test_a_small_test_set_shows_no_equivalence() -> None:
    errors = [[0] * 60]
    small, large = (bootstrap(errors, errors, [words] * 60, resamples=100) for words in (9, 11))
    assert verdict(1, small, margin=0.5) == "no significant difference"  # 3 / 540 could be hidden
    assert verdict(1, large, margin=0.5) == "equivalent"


@pytest.mark.skipif(not shutil.which("sctk"), reason="NIST's sctk (Debian package sctk) is not installed")
@pytest.mark.parametrize("seed", range(4))
def test_mapsswe_equals_that_of_nist(seed: int) -> None:
    generator = random.Random(seed)
    triples = simulated(*rates(generator), 120, generator)
    ours = mapsswe(triples)
    assert nist(triples) == pytest.approx((ours.segments, ours.mean, ours.deviation, ours.z), abs=6e-4)

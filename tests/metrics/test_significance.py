"""Significance tests: against hand-made cases, against NIST's tools, and on simulated systems whose truth is known."""

import math
import random
import shutil

import pytest

from benchmarks.significance import nist, rates, simulated
from fold.errors import FoldError
from fold.metrics.errors import count_errors
from fold.metrics.significance import (
    Bootstrap,
    bootstrap,
    combined,
    error_differences,
    mapsswe,
    segments,
    verdict,
)


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
    alone = [("a b c", "x b c", "a b c")] * 6 + [("a b c", "a b c", "x b c")] * 2 + [("a b c", "a b c", "a b c")] * 9
    test = mapsswe(alone)  # differences: six of +1, two of -1; utterances without an error are no segments
    assert (test.segments, test.mean) == (8, 0.5)
    deviation = math.sqrt((6 * 0.25 + 2 * 2.25) / 7)
    assert test.deviation == pytest.approx(deviation)
    assert test.z == pytest.approx(0.5 / (deviation / math.sqrt(8)))
    assert test.p == pytest.approx(math.erfc(test.z / math.sqrt(2)))


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
    found = bootstrap(error_differences(triples), [5] * 20)
    assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)
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
    population = simulated(0.2, 0.15, 4000, generator)
    differences, words = error_differences(population), [len(reference.split()) for reference, _, _ in population]
    truth = 100 * sum(differences) / sum(words)
    covered = 0
    for trial in range(150):
        chosen = generator.choices(range(len(population)), k=100)
        found = bootstrap([differences[i] for i in chosen], [words[i] for i in chosen], resamples=400, seed=trial)
        assert found.low < found.low90 < found.high90 < found.high
        covered += found.low <= truth <= found.high
    assert 0.89 < covered / 150 <= 0.99, covered / 150


def test_bootstrap_needs_words() -> None:
    with pytest.raises(FoldError, match="no word"):
        bootstrap([0, 1], [0, 0])


def test_seeds_are_combined_by_twice_their_median() -> None:
    assert combined([0.03]) == 0.03
    assert combined([0.01, 0.04, 0.9]) == 0.08
    assert combined([0.7, 0.8, 0.9]) == 1


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
    interval = Bootstrap(difference, interval90[0] - 0.1, interval90[1] + 0.1, *interval90, p)
    assert verdict(difference, p, interval, margin=0.5) == expected


@pytest.mark.skipif(not shutil.which("sctk"), reason="NIST's sctk (Debian package sctk) is not installed")
@pytest.mark.parametrize("seed", range(4))
def test_mapsswe_equals_that_of_nist(seed: int) -> None:
    generator = random.Random(seed)
    triples = simulated(*rates(generator), 120, generator)
    ours = mapsswe(triples)
    assert nist(triples) == pytest.approx((ours.segments, ours.mean, ours.deviation, ours.z), abs=6e-4)

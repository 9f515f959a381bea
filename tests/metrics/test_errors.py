import random

import jiwer
import pytest
import torch

from fold.metrics import ErrorCounts, PathErrors, count_errors

WORDS = ("a", "an", "ant", "turn", "the", "lights", "on", "off", "é")


def random_sentences(count: int, seed: int, shortest: int = 0) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=rng.randint(shortest, 8))) for _ in range(count)]


def total(references: list[str], hypotheses: list[str]) -> ErrorCounts:
    return sum(map(count_errors, references, hypotheses), ErrorCounts())


@pytest.mark.parametrize("seed", range(5))
def test_equals_jiwer(seed: int) -> None:
    references = random_sentences(100, seed, shortest=1)
    hypotheses = random_sentences(100, seed + 1000)
    assert "" in hypotheses
    counts = total(references, hypotheses)
    words = jiwer.process_words(references, hypotheses)
    assert (counts.substitutions, counts.deletions, counts.insertions) == (
        words.substitutions,
        words.deletions,
        words.insertions,
    )
    assert counts.words == words.hits + words.substitutions + words.deletions
    assert counts.wer == pytest.approx(100 * words.wer)
    assert counts.cer == pytest.approx(100 * jiwer.cer(references, hypotheses))
    assert counts.sentences == 100
    assert counts.sentence_errors == sum(r != h for r, h in zip(references, hypotheses, strict=True))


def test_each_kind_of_error_by_hand() -> None:
    counts = count_errors("turn the lights on", "turn a lights on now")
    assert counts == (1, 0, 1, 4, 3 + 4, 18, 1, 1)
    assert count_errors("turn the lights on", "lights on").deletions == 2
    assert count_errors("lights", "").wer == 100
    assert count_errors(" lights  on ", "lights on") == ErrorCounts(words=2, chars=9, sentences=1)


def test_empty_references_have_finite_rates() -> None:
    assert count_errors("", "").wer == count_errors("", "").cer == ErrorCounts().wer == 0
    assert count_errors("", "the lights").wer == 200
    assert count_errors("", "on").cer == 200


SUBSETS = ["clean"] * 12 + ["other"] * 18


def sweep(metric: PathErrors, references: list[str], per_path: list[list[str]], batch: slice) -> None:
    for path, hypotheses in enumerate(per_path):
        metric.update(path, references[batch], hypotheses[batch], SUBSETS[batch])


def test_paths_and_subsets_are_counted_apart_and_two_ranks_sum_to_the_whole() -> None:
    references = random_sentences(30, seed=0)
    per_path = [random_sentences(30, seed) for seed in (1, 2, 3)]
    expected = {
        subset: [total(references[part], hypotheses[part]) for hypotheses in per_path]
        for subset, part in (("clean", slice(0, 12)), ("other", slice(12, 30)))
    }
    together = [clean + other for clean, other in zip(*expected.values(), strict=True)]
    assert together == [total(references, hypotheses) for hypotheses in per_path]

    whole = PathErrors(("clean", "other"), 3)
    for start in range(0, 30, 7):
        sweep(whole, references, per_path, slice(start, start + 7))
    assert whole.compute() == expected

    ranks = [PathErrors(("clean", "other"), 3) for _ in range(2)]
    for rank, metric in enumerate(ranks):
        sweep(metric, references, per_path, slice(rank, None, 2))
    # What torchmetrics does in a process group: gather the state of every rank, then reduce.
    gathered = torch.stack([metric.counts for metric in ranks])
    ranks[0].counts = ranks[0]._reductions["counts"](gathered)
    ranks[0]._computed = None
    assert ranks[0].compute() == expected


def test_counts_stay_exact_where_floats_would_not() -> None:
    metric = PathErrors(["test"], 1)
    metric.counts += 2**53
    metric.update(0, ["on"], ["off"], ["test"])
    assert metric.compute()["test"][0].words == 2**53 + 1


def test_reset_starts_afresh() -> None:
    metric = PathErrors(["test"], 2)
    metric.update(1, ["on"], ["off"], ["test"])
    metric.reset()
    metric.update(0, ["on"], ["on"], ["test"])
    assert metric.compute() == {"test": [count_errors("on", "on"), ErrorCounts()]}


def test_unequal_numbers_of_sentences_are_refused() -> None:
    with pytest.raises(ValueError):
        PathErrors(["test"], 1).update(0, ["on", "off"], ["on"], ["test"])


def test_an_utterance_of_an_unknown_subset_is_not_lost() -> None:
    with pytest.raises(KeyError, match="other"):
        PathErrors(["clean"], 1).update(0, ["on"], ["on"], ["other"])

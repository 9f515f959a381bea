"""Which runs are one system, what it is called, and what is refused."""

import dataclasses

import pytest
from report.records import make_record, references

from fold.errors import FoldError
from fold.report.compare.pairs import Node, all_pairs, compare, counterpart, nodes
from fold.report.compare.systems import group, mean_and_deviation
from fold.report.compare.table import notes, rows
from fold.report.record import Record

MARGIN = 0.5


def test_runs_that_differ_in_seeds_alone_are_one_system() -> None:
    runs = [make_record({2: 0.2, 4: 0.1}, seed=seed) for seed in (3, 1, 2)]
    other = make_record({3: 0.1}, num_layers=3, name="physical")
    [system, alone] = group([*runs, other], [None] * 4)
    assert (system.label, [r.settings["model"]["seed"] for r in system.records]) == ("foldable", [1, 2, 3])
    assert (system.foldable, alone.foldable, alone.label) == (True, False, "physical")
    assert system.wers(4) == [runs[i].canonical[4].wer for i in (1, 2, 0)]


def test_systems_of_one_experiment_are_named_by_what_they_have_otherwise() -> None:
    runs = [make_record({n: 0.1}, num_layers=n, name="physical") for n in (2, 3)]
    runs.append(make_record({2: 0.1}, name="physical", settings={"data": {"shards": "elsewhere", "speeds": [1.0]}}))
    labels = [system.label for system in group(runs, [None] * 3)]
    assert labels[0] == "physical (num_layers=2)"
    assert labels[1] == "physical (num_layers=3)"
    assert "speeds=[1.0]" in labels[2] and "elsewhere" not in labels[2]


def test_given_labels_decide_what_belongs_together() -> None:
    runs = [make_record({2: 0.1}, seed=x, settings={"x": x}) for x in (1, 2)]
    assert [len(system.records) for system in group(runs, ["ours", "ours"])] == [2]
    assert [system.label for system in group(runs, ["a", "b"])] == ["a", "b"]


def test_different_test_sets_are_refused() -> None:
    a, b = make_record({2: 0.1}), make_record({2: 0.1}, said=references(81), name="b")
    with pytest.raises(FoldError, match=r"different test sets: made\.Up test of 80 utterances against .* 81"):
        group([a, b], [None, None])


def test_runs_of_one_label_must_have_the_same_depths() -> None:
    with pytest.raises(FoldError, match="ours: its runs were evaluated at different depths"):
        group([make_record({2: 0.1}), make_record({2: 0.1, 3: 0.1})], ["ours", "ours"])


def test_a_foldable_system_is_held_against_those_trained_for_one_depth() -> None:
    foldable = make_record({2: 0.3, 3: 0.1, 4: 0.1})
    alone = [make_record({n: rate}, num_layers=n, name="physical") for n, rate in ((2, 0.1), (4, 0.1))]
    systems = group([foldable, *alone], [None] * 3)
    ours, two, four = systems
    found = {node.depth: counterpart(node, systems, None) for node in nodes([ours])}
    assert found == {2: Node(two, 2), 3: None, 4: Node(four, 4)}
    assert counterpart(Node(two, 2), systems, None) is None
    assert counterpart(Node(two, 2), systems, ours) == Node(ours, 2)
    assert counterpart(Node(ours, 3), systems, four) == Node(four, 4)
    worse = compare(Node(ours, 2), found[2], MARGIN)
    assert (worse.verdict, worse.p < 0.05, worse.interval.difference > 0) == ("worse", True, True)
    assert len(list(all_pairs(systems, MARGIN))) == 5 * 4 // 2


@pytest.mark.parametrize("seeds", [(1, 2, 3), (1, 2), (3,)])
def test_the_difference_is_that_of_the_mean_word_error_rates(seeds: tuple[int, ...]) -> None:
    """Also where one system has more runs than the other."""
    ours = [make_record({2: 0.2}, name="a", seed=seed) for seed in seeds]
    theirs = [make_record({2: 0.1}, name="b", seed=seed) for seed in (1, 2, 3)]
    [a, b] = group([*ours, *theirs], [None] * (len(seeds) + 3))
    pair = compare(Node(a, 2), Node(b, 2), MARGIN)
    assert pair.interval.difference == pytest.approx(Node(a, 2).wer - Node(b, 2).wer)
    assert pair.interval.low < pair.interval.difference < pair.interval.high
    assert len(pair.tests) == 3 * len(seeds)


def test_a_run_that_comes_twice_counts_once_but_not_one_of_the_same_seeds() -> None:
    run, other = make_record({2: 0.1}, seed=1), make_record({2: 0.1}, seed=2)
    [system] = group([run, other, dataclasses.replace(run)], [None] * 3)
    assert len(system.records) == 2
    later = dataclasses.replace(run, date="2026-01-02")
    with pytest.raises(
        FoldError, match=r"foldable: 2 evaluations .* same random seeds \(random_seed 1, model\.random_seed 1"
    ):
        group([run, other, later], [None] * 3)
    assert [system.label for system in group([run, later], ["a", "b"])] == ["a", "b"]


OTHERWISE = {
    "training utterances=f": {"data": "f"},
    "method=beam": {"decoding": {"method": "beam"}},
    "source=b": {"settings": {"model": {"network": {"init_args": {"source": "there/b"}}}}},
}


@pytest.mark.parametrize("named", OTHERWISE)
def test_other_training_data_decoding_or_weights_make_another_system(named: str) -> None:
    source = {"model": {"network": {"init_args": {"source": "here/a"}}}}
    same = {"settings": {"model": {"network": {"init_args": {"source": "elsewhere/a"}}}}}
    plain = {"settings": source}
    runs = [make_record({2: 0.1}, seed=seed, **with_) for seed, with_ in ((1, plain), (2, same))]
    other = {**plain, **OTHERWISE[named]}
    decoding = other.pop("decoding", None)
    odd = make_record({2: 0.1}, seed=3, **other)
    odd = dataclasses.replace(odd, decoding=decoding) if decoding else odd
    systems = group([*runs, odd], [None] * 3)
    assert [len(system.records) for system in systems] == [2, 1]
    assert systems[1].label == f"foldable ({named})"


def searched(record: Record) -> Record:
    """With a second row of each canonical path, decoded otherwise."""
    rows = [dataclasses.replace(row, decoding="beam 5 ctc 0.3") for row in record.rows]
    return dataclasses.replace(record, rows=(*record.rows, *rows), decoding={"method": "beam"})


def test_systems_are_told_apart_by_how_they_were_decoded_not_by_what_their_training_would_have_done() -> None:
    stated = {"model": {"num_layers": 2, "test_decoding": {"method": "beam"}}}
    runs = [make_record({2: 0.1}, seed=1), make_record({2: 0.1}, seed=2, settings=stated)]
    runs[0].settings["model"].pop("seed")
    assert [len(system.records) for system in group(runs, [None] * 2)] == [2]
    systems = group([*runs, searched(runs[0])], [None] * 3)
    assert [len(system.records) for system in systems] == [2, 1]
    [note] = [note for note in notes(rows(systems, None, MARGIN), MARGIN) if note.startswith("Decoding")]
    assert note == f"Decoding: {systems[0].label}: greedy; {systems[1].label}: beam 5 ctc 0.3."
    alike = notes(rows(systems[:1], None, MARGIN), MARGIN)
    assert not any(note.startswith("Decoding") for note in alike)


def test_mean_and_deviation() -> None:
    assert (mean_and_deviation([4.0]), mean_and_deviation([1.0, 3.0])) == ("4.00", "2.00 ± 1.41")

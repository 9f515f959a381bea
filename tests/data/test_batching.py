"""Plans over awkward corpora: what is in them, how it is dealt to ranks, and when it is the same."""

from collections import Counter

import numpy as np
import pytest
import torch

from fold.data.batching import EvalPlan, Example, Reference, TrainPlan, collate, pack

RATE = 100  # samples a second
MAX_SAMPLES = 20 * RATE


def lengths(shard_sizes: tuple[int, ...], seed: int = 0) -> list[np.ndarray]:
    """Utterances of 0.5 to 6 s, an array a shard."""
    generator = np.random.default_rng(seed)
    return [(RATE * generator.gamma(4, 0.6, size).clip(0.5, 6.0)).astype(np.int64) for size in shard_sizes]


def train_plans(corpus: list[np.ndarray], world_size: int = 1, **settings: object) -> list[TrainPlan]:
    """One plan a rank."""
    settings = {"max_batch_samples": MAX_SAMPLES, "seed": 0, "window": 3, **settings}
    return [TrainPlan(corpus, rank=rank, world_size=world_size, **settings) for rank in range(world_size)]


def places(plans: list[TrainPlan] | list[EvalPlan]) -> Counter:
    """How often each (shard, row) comes in an epoch over all ranks."""
    return Counter((ref.shard, ref.row) for plan in plans for batch in plan for ref in batch)


def usable(corpus: list[np.ndarray]) -> set[tuple[int, int]]:
    return {(shard, row) for shard, rows in enumerate(corpus) for row, n in enumerate(rows) if n >= 0}


def padded_samples(corpus: list[np.ndarray], batch: list[Reference]) -> int:
    return len(batch) * max(int(np.ceil(corpus[ref.shard][ref.row] / ref.speed)) for ref in batch)


SHARDS = [(1,), (7,), (40, 3, 17), (5, 90, 61, 23, 8, 31, 4)]


@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
@pytest.mark.parametrize("shard_sizes", SHARDS)
def test_every_utterance_comes_once_an_epoch(shard_sizes: tuple[int, ...], world_size: int) -> None:
    corpus = lengths(shard_sizes)
    for epoch in range(2):
        plans = train_plans(corpus, world_size)
        for plan in plans:
            plan.set_epoch(epoch)
        seen = places(plans)
        assert set(seen.values()) <= {1}
        if sum(shard_sizes) >= world_size:
            assert set(seen) == usable(corpus)
        assert len({len(list(plan)) for plan in plans}) == 1
        assert all(len(plan) == len(list(plan)) for plan in plans)


@pytest.mark.parametrize("world_size", [2, 3, 4])
def test_only_what_cannot_be_dealt_is_left_out(world_size: int) -> None:
    """Nine utterances that each fill a batch: all ranks take equally many, others in another epoch."""
    corpus = [np.full(9, MAX_SAMPLES)]
    plans = train_plans(corpus, world_size)
    missed: set[tuple[int, int]] = set()
    for epoch in range(20):
        for plan in plans:
            plan.set_epoch(epoch)
        assert [len(plan) for plan in plans] == [9 // world_size] * world_size
        missed |= usable(corpus) - set(places(plans))
    assert missed == (usable(corpus) if 9 % world_size else set())


@pytest.mark.parametrize("world_size", [1, 3])
def test_unusable_utterances_never_come(world_size: int) -> None:
    corpus = lengths((30, 25))
    corpus[0][::4] = -1
    corpus[1][3:7] = -1
    expected = usable(corpus)
    assert len(expected) < 55
    assert places(train_plans(corpus, world_size)) == Counter(expected)
    evaluation = [EvalPlan(corpus, MAX_SAMPLES, rank=rank, world_size=world_size) for rank in range(world_size)]
    assert places(evaluation) == Counter(expected)


def test_nothing_usable_gives_an_empty_plan() -> None:
    corpus = [np.full(4, -1), np.array([], dtype=np.int64)]
    assert list(train_plans(corpus)[0]) == list(EvalPlan(corpus, MAX_SAMPLES)) == []


@pytest.mark.parametrize("plan", ["train", "train with speeds", "eval"])
def test_batches_keep_to_the_padded_size(plan: str) -> None:
    corpus = lengths((60, 45, 80))
    if plan == "eval":
        [batches] = [list(EvalPlan(corpus, MAX_SAMPLES))]
    else:
        speeds = (0.9, 1.0, 1.1) if plan == "train with speeds" else (1.0,)
        [batches] = [list(one) for one in train_plans(corpus, speeds=speeds)]
    sizes = [padded_samples(corpus, batch) for batch in batches]
    assert max(sizes) <= MAX_SAMPLES
    assert np.mean(sizes) > 0.8 * MAX_SAMPLES  # and make use of it


def test_an_utterance_longer_than_a_batch_stands_alone() -> None:
    corpus = [np.array([100, 5000, 120, 3000])]
    for batches in (list(EvalPlan(corpus, 1000)), list(train_plans(corpus, max_batch_samples=1000)[0])):
        assert sorted(sorted(ref.row for ref in batch) for batch in batches) == [[0, 2], [1], [3]]


def test_pack_fills_in_order() -> None:
    values = np.array([3, 4, 4, 5, 9, 10])
    assert [batch.tolist() for batch in pack(values, 12)] == [[0, 1, 2], [3], [4], [5]]
    assert pack(values[:0], 12) == []


def test_utterances_of_a_batch_are_of_similar_length() -> None:
    corpus = lengths((400,))
    for [plan] in (train_plans(corpus), [EvalPlan(corpus, MAX_SAMPLES)]):
        assert sum(padded_samples(corpus, batch) for batch in plan) < 1.12 * corpus[0].sum()


@pytest.mark.parametrize("world_size", [2, 3, 4])
def test_no_rank_waits_long_for_another(world_size: int) -> None:
    """Seconds of speech, and the longest utterance, of the batches of one step."""
    corpus = lengths((220, 180, 240, 160, 200, 190))
    plans = train_plans(corpus, world_size)
    seconds = np.array([[sum(corpus[r.shard][r.row] for r in batch) for batch in plan] for plan in plans])
    longest = np.array([[max(corpus[r.shard][r.row] for r in batch) for batch in plan] for plan in plans])
    assert seconds.max(0).sum() < 1.12 * seconds.mean(0).sum()
    assert (longest.max(0) / longest.min(0)).mean() < 1.25


def test_order_is_that_of_seed_and_epoch() -> None:
    corpus = lengths((50, 40, 60, 30))

    def order(seed: int, epoch: int) -> list[list[Reference]]:
        [plan] = train_plans(corpus, seed=seed, speeds=(0.9, 1.0, 1.1))
        plan.set_epoch(epoch)
        return list(plan)

    np.random.seed(3)
    assert order(0, 2) == order(0, 2)
    orders = [order(0, 0), order(0, 1), order(1, 0), order(1, 1)]
    assert all(one != other for i, one in enumerate(orders) for other in orders[:i])
    batches = [{frozenset((r.shard, r.row) for r in batch) for batch in one} for one in orders]
    assert batches[0] != batches[1]  # other batches, not the same ones in another order


def test_a_plan_returns_to_an_epoch() -> None:
    [plan] = train_plans(lengths((50, 40)))
    first = list(plan)
    plan.set_epoch(5)
    assert list(plan) != first
    plan.set_epoch(0)
    assert list(plan) == first


def test_steps_are_shuffled() -> None:
    corpus = lengths((400,))
    [plan] = train_plans(corpus)
    longest = [max(corpus[0][ref.row] for ref in batch) for batch in plan]
    rises = np.mean(np.diff(longest) > 0)
    assert 0.3 < rises < 0.7


def test_a_window_of_shards_is_read_at_a_time() -> None:
    corpus = lengths((40,) * 8)
    [plan] = train_plans(corpus, window=2)
    order = list(dict.fromkeys(ref.shard for batch in plan for ref in batch))
    assert sorted(order) == list(range(8))
    for start in range(0, 8, 2):
        group = set(order[start : start + 2])
        where = [i for i, batch in enumerate(plan) if {ref.shard for ref in batch} <= group]
        assert where == list(range(where[0], where[-1] + 1))
        assert sum(len(list(plan)[i]) for i in where) == 80
    assert order != sorted(order)


def test_speeds_are_all_drawn_and_change_between_epochs() -> None:
    corpus = lengths((150, 150))
    [plan] = train_plans(corpus, speeds=(0.9, 1.0, 1.1))
    drawn = {(ref.shard, ref.row): ref.speed for batch in plan for ref in batch}
    shares = Counter(drawn.values())
    assert set(shares) == {0.9, 1.0, 1.1}
    assert min(shares.values()) > 60
    plan.set_epoch(1)
    assert {(ref.shard, ref.row): ref.speed for batch in plan for ref in batch} != drawn
    assert {ref.speed for batch in train_plans(corpus)[0] for ref in batch} == {1.0}


@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
@pytest.mark.parametrize("shard_sizes", SHARDS)
def test_evaluation_sees_each_utterance_once(shard_sizes: tuple[int, ...], world_size: int) -> None:
    corpus = lengths(shard_sizes)
    plans = [EvalPlan(corpus, MAX_SAMPLES, rank=rank, world_size=world_size) for rank in range(world_size)]
    assert places(plans) == Counter(usable(corpus))
    assert max(map(len, plans)) - min(map(len, plans)) <= 1
    assert all(len(plan) == len(list(plan)) for plan in plans)


def test_collate_pads_with_zeros() -> None:
    examples = [
        Example("a", "one", torch.arange(1.0, 4.0), torch.tensor([5, 6])),
        Example("b", "", torch.arange(1.0, 6.0), torch.tensor([], dtype=torch.long)),
        Example("c", "two", torch.tensor([9.0]), torch.tensor([7, 8, 9])),
    ]
    batch = collate(examples)
    assert batch.waveforms.tolist() == [[1, 2, 3, 0, 0], [1, 2, 3, 4, 5], [9, 0, 0, 0, 0]]
    assert batch.waveforms.dtype == torch.float32
    assert batch.num_samples.tolist() == [3, 5, 1]
    assert batch.units.tolist() == [[5, 6, 0], [0, 0, 0], [7, 8, 9]]
    assert batch.units.dtype == torch.long
    assert batch.num_units.tolist() == [2, 0, 3]
    assert (batch.ids, batch.texts) == (["a", "b", "c"], ["one", "", "two"])

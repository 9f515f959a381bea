"""Plans over awkward corpora: what is in them, how it is dealt to ranks, and when it is the same."""

import itertools
from collections import Counter

import numpy as np
import pytest

from fold.data.plans import EvalPlan, Reference, TrainPlan, cut, pack

RATE = 100  # samples a second
MAX_SAMPLES = 20 * RATE


def lengths(shard_sizes: tuple[int, ...], seed: int = 0) -> list[np.ndarray]:
    """Utterances of 0.5 to 6 s, an array a shard."""
    generator = np.random.default_rng(seed)
    return [(RATE * generator.gamma(4, 0.6, size).clip(0.5, 6.0)).astype(np.int64) for size in shard_sizes]


def num_steps(corpus: list[np.ndarray], world_size: int, max_samples: int = MAX_SAMPLES) -> int:
    """Steps that hold the corpus, at one utterance a rank at least."""
    usable = np.concatenate(corpus)
    usable = usable[usable >= 0]
    steps = np.ceil(1.02 * usable.sum() / (max_samples * world_size))
    return int(max(1, min(steps, np.ceil(len(usable) / world_size))))


def train_plans(corpus: list[np.ndarray], world_size: int = 1, **settings: object) -> list[TrainPlan]:
    """One plan a rank."""
    settings = {"seed": 0, "window": 3, "num_steps": num_steps(corpus, world_size), **settings}
    seconds = [float(rows[rows >= 0].sum()) / RATE for rows in corpus]
    return [
        TrainPlan(corpus.__getitem__, seconds, rank=rank, world_size=world_size, **settings)
        for rank in range(world_size)
    ]


def eval_plans(corpus: list[np.ndarray], world_size: int = 1, max_samples: int = MAX_SAMPLES) -> list[EvalPlan]:
    """One plan a rank."""
    return [
        EvalPlan(corpus.__getitem__, range(len(corpus)), max_samples, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]


def places(plans: list[TrainPlan] | list[EvalPlan]) -> Counter:
    """How often each (shard, row) comes in an epoch over all ranks."""
    return Counter((ref.shard, ref.row) for plan in plans for batch in plan for ref in batch)


def usable(corpus: list[np.ndarray]) -> set[tuple[int, int]]:
    return {(shard, row) for shard, rows in enumerate(corpus) for row, n in enumerate(rows) if n >= 0}


def padded_samples(corpus: list[np.ndarray], batch: list[Reference]) -> int:
    return len(batch) * max(int(np.ceil(corpus[ref.shard][ref.row] / ref.speed)) for ref in batch)


SHARDS = [(1,), (7,), (2, 0, 1), (40, 3, 17), (5, 90, 61, 23, 8, 31, 4), (1,) * 13]


@pytest.mark.parametrize("window", [1, 3, 16])
@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
@pytest.mark.parametrize("shard_sizes", SHARDS)
def test_every_utterance_comes_exactly_once_an_epoch(
    shard_sizes: tuple[int, ...], world_size: int, window: int
) -> None:
    corpus = lengths(shard_sizes)
    plans = train_plans(corpus, world_size, window=window)
    for epoch in range(3):
        for plan in plans:
            plan.set_epoch(epoch)
        assert places(plans) == Counter(usable(corpus))
        assert {len(list(plan)) for plan in plans} == {len(plans[0])}  # each rank takes each step


def updates(corpus: list[np.ndarray], world_size: int, accumulate: int, epoch: int) -> list[list[list[Reference]]]:
    """The batches of each update, in the order in which ranks and batches are numbered."""
    sizes = {"num_steps": 7, "batches": 4, "accumulate": accumulate, "speeds": (0.9, 1.0, 1.1)}
    plans = train_plans(corpus, world_size, **sizes)
    for plan in plans:
        plan.set_epoch(epoch)
    ranks = [list(plan) for plan in plans]
    assert {len(rank) for rank in ranks} == {len(plans[0])} == {7 * accumulate}
    dealt = [batch for of_all in zip(*ranks, strict=True) for batch in of_all]
    size = world_size * accumulate
    return [dealt[start : start + size] for start in range(0, len(dealt), size)]


@pytest.mark.parametrize("epoch", [0, 1])
def test_an_update_has_the_same_utterances_on_any_number_of_devices(epoch: int) -> None:
    corpus = lengths((50, 40, 60, 30, 20))
    alone = updates(corpus, 1, 4, epoch)
    for world_size, accumulate in ((2, 2), (4, 1)):  # as many batches: the same ones
        assert updates(corpus, world_size, accumulate, epoch) == alone
    for world_size, accumulate in ((3, 2), (5, 1), (8, 1)):
        others = updates(corpus, world_size, accumulate, epoch)
        assert [sorted(ref for batch in update for ref in batch) for update in others] == [
            sorted(ref for batch in update for ref in batch) for update in alone
        ]


@pytest.mark.parametrize(("world_size", "accumulate"), [(1, 4), (3, 2), (2, 3), (8, 1)])
def test_batches_of_an_update_are_of_like_size_and_none_is_more_than_a_device_holds(
    world_size: int, accumulate: int
) -> None:
    corpus = lengths((220, 180, 240, 160))
    steps = int(np.ceil(1.02 * np.concatenate(corpus).sum() / (4 * MAX_SAMPLES)))
    plans = train_plans(corpus, world_size, num_steps=steps, batches=4, accumulate=accumulate)
    sizes = np.array([[padded_samples(corpus, batch) for batch in plan] for plan in plans])
    assert sizes.max() <= 1.1 * MAX_SAMPLES
    assert sizes.max(0).sum() < 1.15 * sizes.mean(0).sum()  # the smaller a batch, the coarser its utterances


@pytest.mark.parametrize("world_size", [1, 2])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_plan_goes_on_anywhere(world_size: int, accumulate: int) -> None:
    corpus = lengths((50, 40, 60, 30, 20))
    [whole, *_] = train_plans(corpus, world_size, window=2, accumulate=accumulate)
    epochs: list[list[list[Reference]]] = []
    for epoch in range(3):
        whole.set_epoch(epoch)
        epochs.append(list(whole))
    steps = whole.num_steps
    for step in range(0, 2 * steps + 1):
        [plan, *_] = train_plans(corpus, world_size, window=2, accumulate=accumulate)
        plan.resume(*divmod(step, steps))
        assert list(plan) == epochs[step // steps][step % steps * accumulate :]
        plan.set_epoch(step // steps)  # as Lightning does once more
        assert list(plan) == epochs[step // steps][step % steps * accumulate :]
        plan.set_epoch(step // steps + 1)
        assert step == 2 * steps or list(plan) == epochs[step // steps + 1]
    plan.resume(1, steps)  # a checkpoint of the last step
    assert list(plan) == epochs[2]


def test_a_window_that_lies_behind_is_not_read() -> None:
    corpus = lengths((30,) * 12)
    read: list[int] = []

    def lengths_of(shard: int) -> np.ndarray:
        read.append(shard)
        return corpus[shard]

    plan = TrainPlan(lengths_of, [1.0] * 12, 24, seed=0, window=2)
    assert read == []
    plan.resume(0, 21)
    next(iter(plan))
    assert len(read) == 2


@pytest.mark.parametrize("world_size", [1, 3])
def test_unusable_utterances_never_come(world_size: int) -> None:
    corpus = lengths((30, 25))
    corpus[0][::4] = -1
    corpus[1][3:7] = -1
    expected = usable(corpus)
    assert len(expected) < 55
    assert places(train_plans(corpus, world_size)) == Counter(expected)
    evaluation = eval_plans(corpus, world_size)
    assert places(evaluation) == Counter(expected)


@pytest.mark.parametrize("plan", ["train", "train with speeds", "eval"])
def test_batches_keep_to_the_padded_size(plan: str) -> None:
    corpus = lengths((60, 45, 80, 70))
    if plan == "eval":
        batches = list(eval_plans(corpus)[0])
    else:
        speeds = (0.9, 1.0, 1.1) if plan == "train with speeds" else (1.0,)
        batches = list(train_plans(corpus, speeds=speeds, window=4)[0])
    sizes = [padded_samples(corpus, batch) for batch in batches]
    assert max(sizes) <= (1.0 if plan == "eval" else 1.1) * MAX_SAMPLES
    assert np.mean(sizes) > 0.8 * MAX_SAMPLES  # and make use of it


def test_an_utterance_longer_than_a_batch_stands_alone() -> None:
    corpus = [np.array([100, 5000, 120, 3000])]
    for batches in (list(eval_plans(corpus, max_samples=1000)[0]), list(train_plans(corpus, num_steps=3)[0])):
        assert sorted(sorted(ref.row for ref in batch) for batch in batches) == [[0, 2], [1], [3]]


def test_pack_fills_in_order() -> None:
    values = np.array([3, 4, 4, 5, 9, 10])
    assert pack(values, 12) == [(0, 3), (3, 4), (4, 5), (5, 6)]
    assert pack(values[:0], 12) == []


def fullest(values: np.ndarray, batches: list[tuple[int, int]]) -> int:
    return max(int(values[start:end].max(initial=0)) * (end - start) for start, end in batches)


@pytest.mark.parametrize("number", range(1, 8))
def test_cut_makes_the_fullest_batch_as_small_as_can_be(number: int) -> None:
    values = np.sort(np.random.default_rng(number).integers(100, 900, 6))
    batches = cut(values, number)
    assert len(batches) == number
    assert [i for start, end in batches for i in range(start, end)] == list(range(6))
    ways = itertools.combinations(range(1, 6), min(number, 6) - 1)  # every other way to cut
    best = min(fullest(values, list(itertools.pairwise((0, *way, 6)))) for way in ways)
    assert best <= fullest(values, batches) <= 1.01 * best


def test_utterances_of_a_batch_are_of_similar_length() -> None:
    corpus = lengths((400,))
    for [plan] in (train_plans(corpus), eval_plans(corpus)):
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
    plans = eval_plans(corpus, world_size)
    assert places(plans) == Counter(usable(corpus))
    assert len({len(list(plan)) for plan in plans}) == 1
    assert all(len(plan) == len(list(plan)) for plan in plans)

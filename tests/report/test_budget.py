"""The depth that a budget buys."""

import dataclasses

import pytest
from report.records import make_record

from fold.errors import FoldError
from fold.report.budget import Budget, advice, choose
from fold.report.record import Record


def record(wers: dict[int, float]) -> Record:
    """A record of these WERs; the real-time factor of depth d is d / 100."""
    made = make_record(dict.fromkeys(wers, 0.0))
    return dataclasses.replace(made, rows=tuple(dataclasses.replace(row, wer=wers[row.depth]) for row in made.rows))


@pytest.mark.parametrize(
    ("budget", "depth"),
    [
        (Budget(within=0), 4),
        (Budget(within=2), 3),  # 5.1 is within 2 % of 5
        (Budget(within=1.9), 4),
        (Budget(within=25), 2),
        (Budget(real_time_factor=0.035), 3),
        (Budget(real_time_factor=0.04), 4),
        (Budget(real_time_factor=0.01), None),
        (Budget(within=20, real_time_factor=0.035), 2),  # 6 is within 20 % of 5.1, the best that is fast enough
    ],
)
def test_the_shallowest_depth_that_is_good_and_fast_enough(budget: Budget, depth: int | None) -> None:
    found = choose(record({2: 6.0, 3: 5.1, 4: 5.0}), budget)
    assert (found and found.depth) == depth
    told = advice(record({2: 6.0, 3: 5.1, 4: 5.0}), budget)
    assert (f"depth {depth} (path" in told) if depth else ("no depth; the fastest takes 0.02" in told)


def test_of_equal_depths_the_shallower() -> None:
    assert choose(record({2: 5.0, 3: 5.0, 4: 5.0}), Budget(within=0)).depth == 2


def test_without_times_there_is_no_answer() -> None:
    untimed = dataclasses.replace(record({2: 6.0}), real_time_factors={})
    assert choose(untimed, Budget(within=1)).depth == 2
    with pytest.raises(FoldError, match="no real-time factor"):
        choose(untimed, Budget(real_time_factor=1.0))
    assert not Budget()

"""Paths and path spaces against the enumeration of every choice of repeats."""

import itertools
import random
from collections import Counter
from dataclasses import replace

import pytest

from fold.errors import FoldError
from fold.paths import Path, PathSpace

SPACES = [
    PathSpace(1, 1),
    PathSpace(1, 4),
    PathSpace(4, 1),
    PathSpace(6, 2),
    PathSpace(4, 3, max_depth=9),
    PathSpace(8, 2, max_depth=12),
    PathSpace(3, (1, 4, 2)),
    PathSpace(2, (2, 5)),
    PathSpace(5, (4, 1, 2, 1, 3), max_depth=8),
]


def all_repeats(space: PathSpace) -> list[tuple[int, ...]]:
    """Every allowed choice of repeats, of any depth."""
    limits = space.max_repeats if isinstance(space.max_repeats, tuple) else [space.max_repeats] * space.num_layers
    choices = itertools.product(*(range(1, limit + 1) for limit in limits))
    return [repeats for repeats in choices if sum(repeats) <= (space.max_depth or sum(limits))]


def repeats_of(path: Path) -> list[int]:
    return [path.layers.count(layer) for layer in range(max(path.layers) + 1)]


def unevenness(repeats: tuple[int, ...] | list[int]) -> int:
    return sum(times**2 for times in repeats)


@pytest.mark.parametrize(
    ("path", "text"),
    [(Path((0,)), "1"), (Path((0, 0, 1)), "1-1-2"), (Path((2, 0, 2)), "3-1-3"), (Path((8, 9, 10)), "9-10-11")],
)
def test_text_form(path: Path, text: str) -> None:
    assert str(path) == text
    assert Path.parse(text) == path
    assert Path.parse(f" {text}\n") == path


@pytest.mark.parametrize("text", ["", "-", "1-", "-1", "0", "1-0", "1--2", "1 2", "1,2", "1.5", "a", "01-2", "1\n2"])
def test_bad_text_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(FoldError, match=r"path .*expected layer numbers") as caught:
        Path.parse(text)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"num_layers": 0}, "num_layers"),
        ({"num_layers": 2, "max_repeats": 0}, "max_repeats"),
        ({"num_layers": 2, "max_repeats": (2, 0)}, "max_repeats"),
        ({"num_layers": 2, "max_repeats": (2, 2, 2)}, "max_repeats"),
        ({"num_layers": 3, "max_depth": 2}, "max_depth"),
        ({"num_layers": 3, "max_repeats": 2, "max_depth": 7}, "max_depth"),
        ({"num_layers": 3, "max_repeats": 2, "max_depth": 0}, "max_depth"),
        ({"num_layers": 3, "canonical_order": "first"}, "canonical_order"),
    ],
)
def test_contradictory_spaces_are_refused_in_one_line(settings: dict, named: str) -> None:
    with pytest.raises(FoldError, match=named) as caught:
        PathSpace(**settings)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("depth", [3, 9])
def test_depths_outside_the_space_are_refused(depth: int) -> None:
    space = PathSpace(4, 2)
    calls = [
        space.canonical,
        space.count,
        space.paths,
        lambda depth: space.sample(depth, 1, random.Random(0)),
    ]
    for call in calls:
        with pytest.raises(FoldError, match=rf"depth {depth}: this model has depths 4 to 8"):
            call(depth)


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_paths_are_those_of_the_enumeration(space: PathSpace) -> None:
    expected: dict[int, set[Path]] = {}
    for repeats in all_repeats(space):
        layers = tuple(itertools.chain(*([layer] * times for layer, times in enumerate(repeats))))
        expected.setdefault(len(layers), set()).add(Path(layers))
    assert list(space.depths) == sorted(expected)
    for depth in space.depths:
        listed = list(space.paths(depth))
        assert len(listed) == len(set(listed)) == space.count(depth)
        assert set(listed) == expected[depth]
        assert {path.depth for path in listed} == {depth}


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_ends(space: PathSpace) -> None:
    assert space.seed == Path(tuple(range(space.num_layers)))
    assert space.deepest == space.canonical(max(space.depths))


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_canonical_paths_may_repeat_the_last_layers(space: PathSpace) -> None:
    last = replace(space, canonical_order="last")
    for depth in last.depths:
        repeats = repeats_of(last.canonical(depth))
        once_more = [times for times, limit in zip(repeats, last.limits, strict=True) if limit >= max(repeats)]
        assert once_more == sorted(once_more)
        assert sorted(repeats) == sorted(repeats_of(space.canonical(depth)))
        assert last.canonical(depth) in space


def test_of_four_layers_the_last_repeat_first() -> None:
    space = PathSpace(4, 3, canonical_order="last")
    found = [str(space.canonical(depth)) for depth in (5, 6, 7, 9)]
    assert found == ["1-2-3-4-4", "1-2-3-3-4-4", "1-2-2-3-3-4-4", "1-1-2-2-3-3-4-4-4"]


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_canonical_path_is_the_most_even_one(space: PathSpace) -> None:
    for depth in space.depths:
        repeats = repeats_of(space.canonical(depth))
        assert tuple(repeats) in all_repeats(space)
        assert unevenness(repeats) == min(unevenness(other) for other in all_repeats(space) if sum(other) == depth)


@pytest.mark.parametrize(("num_layers", "max_repeats"), [(6, 2), (12, 2), (5, 3), (7, 4)])
def test_canonical_repeats_are_spread_over_the_stack(num_layers: int, max_repeats: int) -> None:
    """Any two runs of equally many neighbouring layers hold the same number of positions, to within one."""
    space = PathSpace(num_layers, max_repeats)
    for depth in space.depths:
        repeats = repeats_of(space.canonical(depth))
        for width in range(1, num_layers):
            sums = [sum(repeats[start : start + width]) for start in range(num_layers - width + 1)]
            assert max(sums) - min(sums) <= 1


def test_eight_layers_unfolded_to_twelve() -> None:
    space = PathSpace(8, 2, max_depth=12)
    assert [space.count(depth) for depth in space.depths] == [1, 8, 28, 56, 70]
    assert sorted(repeats_of(space.deepest)) == [1] * 4 + [2] * 4


def test_large_spaces_are_counted_without_listing() -> None:
    space = PathSpace(24, 3)
    assert sum(map(space.count, space.depths)) == 3**24
    assert len(set(space.sample(48, 20, random.Random(0)))) == 20


@pytest.mark.parametrize("num_paths", [1, 3, 6, 50])
def test_sampled_paths_are_distinct_paths_of_the_depth(num_paths: int) -> None:
    space = PathSpace(4, 2)
    for seed in range(20):
        sample = space.sample(6, num_paths, random.Random(seed))
        assert len(sample) == len(set(sample)) == min(num_paths, 6)
        assert set(sample) <= set(space.paths(6))


def test_samples_are_uniform() -> None:
    space = PathSpace(3, (3, 2, 4))
    generator = random.Random(0)
    num_paths, num_draws = space.count(6), 3000
    seen = Counter(path for _ in range(num_draws) for path in space.sample(6, 2, generator))
    expected = num_draws * 2 / num_paths
    assert num_paths == 6
    assert all(abs(seen[path] - expected) < 5 * expected**0.5 for path in space.paths(6))


def test_a_space_holds_its_paths_alone() -> None:
    space = PathSpace(3, (1, 2, 3), max_depth=5)
    within = {path for depth in space.depths for path in space.paths(depth)}
    tried = [Path(layers) for n in range(7) for layers in itertools.product(range(4), repeat=n)]
    assert {path for path in tried if path in space} == within


@pytest.mark.parametrize(("depth", "path"), [(3, "1-1-2"), (9, None), (0, None), (None, "1-2-1"), (None, "1-1-1-2")])
def test_choosing_refuses_what_the_space_lacks(depth: int | None, path: str | None) -> None:
    with pytest.raises(FoldError):
        PathSpace(2, 2).choose(depth, path)


def test_choosing() -> None:
    space = PathSpace(2, 2)
    assert space.choose() == space.deepest
    assert space.choose(depth=3) == space.canonical(3)
    assert space.choose(path="1-1-2") == space.choose(path=Path((0, 0, 1))) == Path((0, 0, 1))

"""Which paths a step trains: all samplers draw what they promise, from the step's generator alone."""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
from collections import Counter

import pytest

from fold.errors import FoldError
from fold.paths import Path, PathSpace
from fold.sampling import DepthFirst, Even, Growth, PathSampler, StepPaths, Uniform

AT_ONCE = Growth(0, 0)
ANY_PATH = [DepthFirst, Uniform]
KINDS = [*ANY_PATH, Even]
SPACES = [PathSpace(4), PathSpace(3, (1, 3, 2)), PathSpace(4, 2, max_depth=6)]


def draw(sampler: PathSampler, space: PathSpace, step: int, random_seed: int = 0, progress: float = 0.0) -> StepPaths:
    return sampler.paths(space, step, progress, random.Random(f"{random_seed} {step}"))


def sampled(kind: type[PathSampler], num_paths: int, space: PathSpace, step: int, random_seed: int = 0) -> list[Path]:
    return list(draw(kind(num_paths, AT_ONCE), space, step, random_seed).sampled)


@pytest.mark.parametrize("kind", KINDS)
def test_paths_depend_on_the_generator_alone(kind: type[PathSampler]) -> None:
    drawn = [sampled(kind, 3, PathSpace(6), step, 1) for step in range(50)]
    random.seed(7)
    space = PathSpace(6)
    backwards = [sampled(kind, 3, space, step, 1) for step in reversed(range(50))]
    assert backwards[::-1] == drawn
    other = [sampled(kind, 3, space, step, 2) for step in range(50)]
    assert sum(map(list.__eq__, other, drawn)) < 5
    assert len({tuple(paths) for paths in drawn}) > 40


@pytest.mark.parametrize("kind", KINDS)
def test_paths_are_the_same_in_every_process(kind: type[PathSampler]) -> None:
    code = (
        f"import random; from fold.paths import PathSpace; from fold.sampling import {kind.__name__}, Growth;"
        f"s = {kind.__name__}(40, Growth(0, 0)); print(*s.paths(PathSpace(6), 9, 0.0, random.Random('3 9')).sampled)"
    )
    here = " ".join(map(str, sampled(kind, 40, PathSpace(6), 9, 3)))
    for hash_seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        assert result.stdout.strip() == here


@pytest.mark.parametrize("kind", ANY_PATH)
@pytest.mark.parametrize("space", SPACES, ids=str)
def test_every_path_but_the_ends_is_reached(kind: type[PathSampler], space: PathSpace) -> None:
    steps = [draw(kind(2, AT_ONCE), space, step) for step in range(400)]
    assert {(step.deepest, step.seed) for step in steps} == {(space.deepest, space.seed)}
    inner = {path for depth in space.depths for path in space.paths(depth)} - {space.seed, space.deepest}
    assert {path for step in steps for path in step.sampled} == inner


def test_depth_first_draws_depths_alike() -> None:
    drawn = Counter(path.depth for step in range(2500) for path in sampled(DepthFirst, 1, PathSpace(6), step))
    assert set(drawn) == {7, 8, 9, 10, 11}
    assert all(abs(count - 500) < 5 * 500**0.5 for count in drawn.values())


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_uniform_draws_paths_alike(space: PathSpace) -> None:
    drawn = Counter(path for step in range(2000) for path in sampled(Uniform, 1, space, step))
    expected = 2000 / len(drawn)
    assert all(abs(count - expected) < 5 * expected**0.5 for count in drawn.values())


def test_even_draws_the_paths_whose_layers_differ_by_one_repeat_at_most() -> None:
    space = PathSpace(4, 3)
    drawn = Counter(path for step in range(4200) for path in sampled(Even, 1, space, step))
    inner = {path for depth in space.depths for path in space.paths(depth)} - {space.seed, space.deepest}
    assert set(drawn) == {path for path in inner if max(repeats(path)) - min(repeats(path)) <= 1}
    for path, times in drawn.items():  # the 7 depths alike, and the paths of each alike
        expected = 600 / math.comb(4, path.depth % 4)
        assert abs(times - expected) < 5 * expected**0.5


def repeats(path: Path) -> list[int]:
    return [path.layers.count(layer) for layer in range(4)]


def test_even_is_depth_first_where_layers_run_twice_at_most() -> None:
    space = PathSpace(4)
    for depth in space.depths:
        drawn = {space.sample_even(depth, random.Random(step)) for step in range(200)}
        assert drawn == set(space.paths(depth))


def test_uniform_takes_spaces_too_large_to_list() -> None:
    space = PathSpace(80, 3)
    assert len(sampled(Uniform, 5, space, 0)) == 5
    assert space.count(160) > 1e30


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("num_paths", [0, 1, 4])
def test_the_wanted_number_is_drawn(kind: type[PathSampler], num_paths: int) -> None:
    assert len(sampled(kind, num_paths, PathSpace(4), 0)) == num_paths


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("space", [PathSpace(1, 2), PathSpace(2, (1, 2))], ids=str)
def test_a_space_of_nothing_but_ends_has_none_to_sample(kind: type[PathSampler], space: PathSpace) -> None:
    assert draw(kind(3, AT_ONCE), space, 0).in_order == [space.deepest, space.seed]


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_does_not_unfold_has_one_path(kind: type[PathSampler]) -> None:
    space = PathSpace(3, 1)
    assert draw(kind(3, AT_ONCE), space, 0) == StepPaths(space.seed)


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_has_the_paths_that_have_grown(kind: type[PathSampler]) -> None:
    sampler, space = kind(1, Growth(0.25, 0.75)), PathSpace(4)
    assert draw(sampler, space, 7, progress=0.2) == StepPaths(space.seed)
    half = draw(sampler, space, 7, progress=0.5)
    assert (half.deepest, half.seed, len(half.sampled)) == (space.canonical(6), space.seed, 1)
    assert draw(sampler, space, 7, progress=0.8).deepest == space.deepest


@pytest.mark.parametrize("space", [PathSpace(4, 2), PathSpace(4, 2, max_depth=6), PathSpace(3, (1, 3, 2))])
def test_paths_grow_from_the_seed_to_the_whole_space(space: PathSpace) -> None:
    growth = Growth(alone=0.25, grown=0.75)
    spaces = [growth.space(space, step / 100) for step in range(101)]
    deepest = [part.deepest.depth for part in spaces]
    assert deepest[:26] == [space.depths[0]] * 26 and spaces[75:] == [space] * 26
    assert sorted(deepest) == deepest and set(deepest) == set(space.depths)
    for part in spaces:
        assert part.seed == space.seed
        assert set(part.paths(part.depths[-1])) <= set(space.paths(part.depths[-1]))


def test_growth_may_be_none_or_sudden() -> None:
    space = PathSpace(4, 2)
    assert Growth(0, 0).space(space, 0.0) == space
    assert [Growth(0.5, 0.5).space(space, p).deepest.depth for p in (0.0, 0.49, 0.5, 1.0)] == [4, 4, 8, 8]


@pytest.mark.parametrize("shares", [(-0.1, 0.5), (0.5, 0.4), (0.5, 1.1)])
def test_growth_in_the_wrong_order_is_refused_in_one_line(shares: tuple[float, float]) -> None:
    with pytest.raises(FoldError, match=r"growth from .*: expected shares with 0 <= alone <= grown <= 1$"):
        Growth(*shares)

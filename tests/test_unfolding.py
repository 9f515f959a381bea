"""The unfolding engine against layers written out by hand, one path at a time."""

import random
import statistics
import weakref
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from fold.errors import FoldError
from fold.paths import Path, PathSpace
from fold.sampling import DepthFirst, step_generator
from fold.unfolding import Unfolding, num_layer_calls

NUM_LAYERS, DIM = 4, 3


def make_unfolding(**settings: bool) -> Unfolding:
    torch.manual_seed(0)
    layers = [nn.Sequential(nn.Linear(DIM, DIM), nn.Tanh()) for _ in range(NUM_LAYERS)]
    return Unfolding(layers, **settings).double()


def make_input(requires_grad: bool = False) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 5, DIM, generator=generator, dtype=torch.float64).requires_grad_(requires_grad)


def by_hand(unfolding: Unfolding, x: Tensor, path: Path) -> Tensor:
    for layer in path.layers:
        x = unfolding.layers[layer](x)
    return x


def distinct_prefixes(paths: Sequence[Path]) -> int:
    return len({path.layers[:length] for path in paths for length in range(1, path.depth + 1)})


def random_paths(seed: int) -> list[Path]:
    """Paths of any order and depth, with duplicates and with prefixes of one another."""
    generator = random.Random(seed)
    paths = [Path(tuple(generator.choices(range(NUM_LAYERS), k=generator.randint(0, 6)))) for _ in range(5)]
    paths += generator.sample(paths, 2)
    paths += [Path(path.layers[: generator.randint(0, path.depth)]) for path in generator.sample(paths, 2)]
    generator.shuffle(paths)
    return paths


def all_paths(space: PathSpace) -> list[Path]:
    return [path for depth in space.depths for path in space.paths(depth)]


class CountingCalls:
    """Counts the calls of the physical layers of an unfolding."""

    def __init__(self, unfolding: Unfolding) -> None:
        self.calls: list[int] = []
        for index, layer in enumerate(unfolding.layers):
            layer.register_forward_pre_hook(lambda *_, index=index: self.calls.append(index))


def test_unfolded_once_is_the_seed() -> None:
    unfolding, x = make_unfolding(), make_input()
    first, second, third, fourth = unfolding.layers
    [result] = unfolding(x, [PathSpace(NUM_LAYERS, 1).deepest])
    assert torch.equal(result, fourth(third(second(first(x)))))


def test_repeats_stand_next_to_each_other() -> None:
    unfolding, x = make_unfolding(), make_input()
    first, second, third, fourth = unfolding.layers
    [result] = unfolding(x, [Path.parse("1-1-2-3-3-3-4")])
    assert torch.equal(result, fourth(third(third(third(second(first(first(x))))))))


def layer_by_layer(unfolding: Unfolding, x: Tensor, paths: Sequence[Path]) -> list[Tensor]:
    return unfolding(x, paths)


def path_by_path(unfolding: Unfolding, x: Tensor, paths: Sequence[Path]) -> list[Tensor]:
    results = dict(unfolding.walk(x, paths))
    return [results[index] for index in range(len(paths))]


@pytest.mark.parametrize("together_by", [layer_by_layer, path_by_path])
@pytest.mark.parametrize("seed", range(12))
def test_a_set_of_paths_equals_each_alone(seed: int, together_by: Callable[..., list[Tensor]]) -> None:
    """Results and gradients, of the layers and of the input."""
    paths = random_paths(seed)
    unfolding, x = make_unfolding(), make_input(requires_grad=True)
    inputs = [x, *unfolding.parameters()]
    weights = torch.randn(len(paths), 2, 5, DIM, dtype=torch.float64)

    together = together_by(unfolding, x, paths)
    alone = [by_hand(unfolding, x, path) for path in paths]
    for result, expected in zip(together, alone, strict=True):
        torch.testing.assert_close(result, expected, rtol=1e-12, atol=1e-12)

    loss = sum((weight * result).sum() for weight, result in zip(weights, together, strict=True))
    gradients = torch.autograd.grad(loss, inputs, allow_unused=True, materialize_grads=True)
    expected = [torch.zeros_like(tensor) for tensor in inputs]
    for weight, result in zip(weights, alone, strict=True):
        parts = torch.autograd.grad((weight * result).sum(), inputs, allow_unused=True, materialize_grads=True)
        expected = [total + part for total, part in zip(expected, parts, strict=True)]
    for gradient, reference in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, reference, rtol=1e-12, atol=1e-12)


def test_no_paths_give_no_results() -> None:
    assert make_unfolding()(make_input(), []) == []


@pytest.mark.parametrize("seed", range(12))
def test_each_prefix_is_computed_once(seed: int) -> None:
    paths, unfolding = random_paths(seed), make_unfolding()
    counting = CountingCalls(unfolding)
    path_by_path(unfolding, make_input(), paths)
    assert len(counting.calls) == num_layer_calls(paths) == distinct_prefixes(paths)


def test_all_64_paths_of_six_layers_need_126_calls() -> None:
    paths = all_paths(PathSpace(6, 2))
    unfolding = Unfolding(nn.Identity() for _ in range(6))
    counting = CountingCalls(unfolding)
    path_by_path(unfolding, make_input(), paths)
    assert len(paths) == 64
    assert len(counting.calls) == num_layer_calls(paths) == 126
    assert sum(path.depth for path in paths) == 576


@pytest.mark.parametrize("space", [PathSpace(4, 2), PathSpace(3, (1, 3, 2)), PathSpace(6, 2)], ids=str)
def test_layer_by_layer_all_paths_take_the_calls_of_the_deepest(space: PathSpace) -> None:
    paths = all_paths(space)
    unfolding = Unfolding(nn.Identity() for _ in range(space.num_layers))
    counting = CountingCalls(unfolding)
    unfolding(make_input(), paths)
    assert tuple(counting.calls) == space.deepest.layers


class Fused(nn.Module):
    """Mixes in what each row and what all rows are given."""

    def forward(self, x: Tensor, of_row: Tensor, shared: Tensor) -> Tensor:
        return (x * of_row[:, None, None] + shared).tanh()


def test_every_row_keeps_its_own_arguments() -> None:
    x, of_row, shared = make_input(), torch.tensor([0.5, 2.0]).double(), torch.tensor(0.1).double()
    unfolding, paths = Unfolding([Fused(), Fused()]), all_paths(PathSpace(2, 3))
    together = unfolding(x, paths, [of_row], [shared])
    for path, result in zip(paths, together, strict=True):
        expected = x
        for _ in path.layers:
            expected = Fused()(expected, of_row, shared)
        torch.testing.assert_close(result, expected)


@pytest.mark.parametrize("seed", range(10))
def test_hidden_states_are_those_of_each_call_of_a_path(seed: int) -> None:
    unfolding, x, paths = make_unfolding(), make_input(), random_paths(seed)
    of_forward: list[list[Tensor]] = [[] for _ in paths]
    of_walk: list[list[Tensor]] = [[] for _ in paths]
    results = unfolding(x, paths, hidden=of_forward)
    assert len(list(unfolding.walk(x, paths, hidden=of_walk))) == len(paths)
    for path, result, *both in zip(paths, results, of_forward, of_walk, strict=True):
        for states in both:
            assert len(states) == path.depth
            for length, state in enumerate(states, 1):
                torch.testing.assert_close(state, by_hand(unfolding, x, Path(path.layers[:length])))
            assert not states or torch.equal(states[-1], result)


def test_a_joint_step_costs_1_83_times_the_deepest() -> None:
    space = PathSpace(6, 2)
    steps = [DepthFirst().paths(space, step, 1.0, step_generator(0, step)) for step in range(1500)]
    joint = [paths.in_order for paths in steps]
    shares = [num_layer_calls(paths) / space.deepest.depth for paths in joint]
    separate = [sum(path.depth for path in paths) / space.deepest.depth for paths in joint]
    assert statistics.fmean(shares) == pytest.approx(1.83, abs=0.02)
    assert statistics.fmean(separate) == pytest.approx(2.25, abs=0.02)


def test_parameters_are_the_same_tensors_at_every_depth() -> None:
    unfolding = make_unfolding()
    before = dict(unfolding.named_parameters())
    used: set[int] = set()
    for layer in unfolding.layers:
        layer.register_forward_hook(lambda module, *_: used.update(map(id, module.parameters())))
    for path in all_paths(PathSpace(NUM_LAYERS, 2)):
        used.clear()
        unfolding(make_input(), [path])
        assert used == set(map(id, before.values()))
    assert {name: id(tensor) for name, tensor in unfolding.named_parameters()} == {
        name: id(tensor) for name, tensor in before.items()
    }
    assert sum(p.numel() for p in unfolding.parameters()) == NUM_LAYERS * (DIM * DIM + DIM)


class Recording(nn.Module):
    """Passes on a new tensor, remembering weakly all that it ever made."""

    def __init__(self, made: list[weakref.ref], alive_at_call: list[int]) -> None:
        super().__init__()
        self.made, self.alive_at_call = made, alive_at_call

    def forward(self, x: Tensor) -> Tensor:
        self.alive_at_call.append(alive(self.made))
        result = x + 1
        self.made.append(weakref.ref(result))
        return result


def alive(made: list[weakref.ref]) -> int:
    return sum(reference() is not None for reference in made)


@torch.no_grad()
def test_a_single_path_keeps_no_more_than_the_current_result() -> None:
    made: list[weakref.ref] = []
    alive_at_call: list[int] = []
    unfolding = Unfolding(Recording(made, alive_at_call) for _ in range(4))
    for _, result in unfolding.walk(make_input(), [Path.parse("1-1-2-2-3-3-4-4")]):
        del result
    assert alive_at_call == [0] + 7 * [1]
    assert alive(made) == 0


@torch.no_grad()
def test_results_are_dropped_as_their_branches_end() -> None:
    """At each yield what lives are prefixes of the yielded path, and only those that still have branches."""
    paths = all_paths(PathSpace(5, 2))
    made: list[weakref.ref] = []
    unfolding = Unfolding(Recording(made, []) for _ in range(5))
    done: set[int] = set()
    for index, result in unfolding.walk(make_input(), paths):
        done.add(index)
        left = {path.layers for number, path in enumerate(paths) if number not in done}
        prefixes = [paths[index].layers[:length] for length in range(1, paths[index].depth)]
        needed = [prefix for prefix in prefixes if any(layers[: len(prefix)] == prefix for layers in left)]
        assert alive(made) <= len(needed) + 1
        del result
    assert len(done) == len(paths) == 32
    assert alive(made) == 0


def test_walk_gives_each_result_before_the_rest_is_computed() -> None:
    unfolding = make_unfolding()
    counting = CountingCalls(unfolding)
    walk = unfolding.walk(make_input(), [Path.parse("1-2"), Path.parse("1-3-3-3")])
    index, _ = next(walk)
    assert (index, counting.calls) == (0, [0, 1])


def with_dropout(checkpoint_activations: bool) -> Unfolding:
    torch.manual_seed(0)
    layers = [nn.Sequential(nn.Linear(DIM, 8), nn.Dropout(0.5), nn.Linear(8, DIM)) for _ in range(NUM_LAYERS)]
    return Unfolding(layers, checkpoint_activations).double()


def gradients_with_dropout(unfolding: Unfolding, paths: Sequence[Path]) -> list[Tensor]:
    torch.manual_seed(5)
    loss = sum(result.square().sum() for result in unfolding(make_input(), paths))
    loss.backward()
    return [parameter.grad for parameter in unfolding.parameters()]


def test_checkpointing_recomputes_and_gives_the_same_gradients() -> None:
    paths = all_paths(PathSpace(NUM_LAYERS, 2))
    plain, checkpointed = with_dropout(False), with_dropout(True)
    counting = CountingCalls(checkpointed)
    expected, gradients = gradients_with_dropout(plain, paths), gradients_with_dropout(checkpointed, paths)
    for gradient, reference in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, reference, rtol=1e-12, atol=1e-12)
    assert len(counting.calls) == 2 * PathSpace(NUM_LAYERS, 2).deepest.depth


def test_checkpointing_rests_in_evaluation() -> None:
    unfolding = with_dropout(True).eval()
    counting = CountingCalls(unfolding)
    gradients_with_dropout(unfolding, [Path.parse("1-2-3-4")])
    assert len(counting.calls) == 4


class Scaled(nn.Module):
    def forward(self, x: Tensor, factor: float, offset: Tensor) -> Tensor:
        return factor * x + offset


def test_any_module_serves_as_a_layer() -> None:
    x = torch.ones(1, 4)
    linear = nn.Linear(4, 4)
    [once, twice] = Unfolding([linear])(x, [Path.parse("1"), Path.parse("1-1")])
    assert torch.equal(once, linear(x))
    assert torch.equal(twice, linear(linear(x)))


def test_arguments_reach_every_call() -> None:
    x, offset = torch.ones(1, 4), torch.tensor(3.0)
    [result] = Unfolding([Scaled(), Scaled()])(x, [Path.parse("1-1-2")], shared_args=(2.0, offset))
    assert result.tolist() == [[29.0] * 4]


@pytest.mark.parametrize("path", [Path((0, 4)), Path((-1,))])
def test_a_layer_that_does_not_exist_is_refused(path: Path) -> None:
    with pytest.raises(FoldError, match=r"^path \S+: this model has 4 physical layers$"):
        make_unfolding()(make_input(), [Path((0,)), path])

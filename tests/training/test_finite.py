"""Updates that would put NaN or infinity into the weights are skipped, counted, and too many in a row end training."""

import itertools
from collections.abc import Callable, Collection, Iterator
from types import SimpleNamespace

import pytest
import torch
from conftest import Finished
from torch import Tensor, nn

from fold.errors import FoldError
from fold.models import Conformer
from fold.training.finite import LOOK_EVERY, MOST_IN_A_ROW, FiniteUpdates
from fold.training.module import FoldableASR

Command = Callable[..., Finished]
OPTIMIZERS = {
    "fused AdamW": lambda parameters: torch.optim.AdamW(parameters, lr=0.1, fused=True),
    "AdamW": lambda parameters: torch.optim.AdamW(parameters, lr=0.1),
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=0.1),
}


def run(
    kind: str, bad: set[int], steps: int, max_norm: float | None = 1.0, left_out: Collection[int] = ()
) -> tuple[list[list[Tensor]], FiniteUpdates]:
    """The weights after each of some updates, of which those in `bad` have a gradient that is not finite, and those in
    `left_out` do not happen at all."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    optimizer, updates, seen = OPTIMIZERS[kind](model.parameters()), FiniteUpdates(), []
    for step in sorted(set(range(steps)) - set(left_out)):
        model(torch.randn(5, 3, generator=torch.Generator().manual_seed(step))).square().sum().backward()
        if step in bad:
            model[0].weight.grad[0, 0] = torch.nan if step % 2 else torch.inf
        updates.clip(model.parameters(), optimizer, max_norm)
        optimizer.step()
        optimizer.zero_grad()
        seen.append([parameter.detach().clone() for parameter in model.parameters()])
    return seen, updates


def equal(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(map(torch.equal, one, other))


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_bad_update_changes_nothing_and_the_next_ones_do(kind: str) -> None:
    seen, updates = run(kind, bad={3, 4}, steps=7)
    changed = [not equal(before, after) for before, after in itertools.pairwise(seen)]
    assert changed == [True, True, False, False, True, True]
    assert int(updates.skipped) == 2
    assert all(value.isfinite().all() for weights in seen for value in weights)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_bad_update_leaves_no_trace_in_the_optimizer(kind: str) -> None:
    """What follows is what would have followed without it: momenta and step count are those of the good updates."""
    assert equal(run(kind, bad={0, 2}, steps=5)[0][-1], run(kind, bad=set(), steps=5, left_out={0, 2})[0][-1])


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_good_updates_are_those_of_torchs_clipping(kind: str) -> None:
    seen, updates = run(kind, bad=set(), steps=3)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    optimizer = OPTIMIZERS[kind](model.parameters())
    for step in range(3):
        model(torch.randn(5, 3, generator=torch.Generator().manual_seed(step))).square().sum().backward()
        assert nn.utils.clip_grad_norm_(model.parameters(), 1.0) > 1.0  # it is clipped
        optimizer.step()
        optimizer.zero_grad()
        for ours, theirs in zip(seen[step], model.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs)
    assert int(updates.skipped) == 0


def test_without_a_norm_nothing_is_clipped_and_bad_updates_are_skipped_all_the_same() -> None:
    free, clipped = run("SGD", set(), 2, max_norm=None)[0], run("SGD", set(), 2)[0]
    assert not equal(free[-1], clipped[-1])
    seen, _ = run("SGD", {1}, 2, max_norm=None)
    assert equal(*seen)


def test_too_many_in_a_row_end_training_in_one_line() -> None:
    with pytest.raises(FoldError, match=r"^the gradients of \d+ updates in a row were not finite") as caught:
        run("AdamW", bad=set(range(2, 500)), steps=500)
    assert "\n" not in str(caught.value)
    alternating = {step for step in range(100) if step % (MOST_IN_A_ROW // 2)}
    assert int(run("AdamW", alternating, 100)[1].skipped) == len(alternating) > MOST_IN_A_ROW + LOOK_EVERY


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[FoldableASR]:
    """A module as precision 16-mixed has it, whose gradients are scaled."""
    schedule = torch.optim.lr_scheduler.ConstantLR
    module = FoldableASR(Conformer(num_layers=1), torch.optim.AdamW, schedule)
    module.model = nn.Linear(3, 2)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    module._trainer = SimpleNamespace(precision_plugin=SimpleNamespace(scaler=scaler))
    monkeypatch.setattr(module, "log_dict", lambda values: None)
    return module


def test_scaled_gradients_of_fused_optimizers_are_clipped_at_their_own_size(module: FoldableASR) -> None:
    """Lightning leaves them to the optimizer to unscale, which comes after the clipping."""
    before, scaler = module.model.weight.detach().clone(), module.trainer.precision_plugin.scaler
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0, fused=True)
    loss = 0.001 * module.model(torch.ones(1, 3)).sum()  # a gradient that is shorter than the greatest norm
    scaler.scale(loss).backward()
    module.configure_gradient_clipping(optimizer, gradient_clip_val=1.0)
    scaler.step(optimizer)
    torch.testing.assert_close(before - module.model.weight, torch.full((2, 3), 0.001), rtol=1e-3, atol=1e-6)


def test_a_run_that_diverges_ends_in_one_line_and_keeps_its_last_good_weights(
    tones_config: str, fold_command: Command, tmp_path: object
) -> None:
    absurd = [
        f"--config={tones_config}",
        "--model.optimizer={class_path: torch.optim.SGD, init_args: {lr: 1.0e+20}}",
        "--model.lr_scheduler={class_path: torch.optim.lr_scheduler.ConstantLR, init_args: {factor: 1.0}}",
        "--trainer.max_steps=200",
        "--run_dir=run",
    ]
    done = fold_command("fit", *absurd, check=False)
    assert done.status == 2
    [told] = [line for line in done.stderr.splitlines() if line.startswith("fold fit: ")]
    assert "not finite" in told and "learning rate" in told

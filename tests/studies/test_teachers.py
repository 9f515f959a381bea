"""Terms with other teachers: what they compare, and where no gradient may go."""

from dataclasses import replace

import pytest
import torch
from small_networks import SPACE, built

from fold.errors import FoldError
from fold.losses import Counts, Targets
from fold.models import Conformer, Recogniser
from fold.objective import JointObjective
from fold.sampling import StepPaths
from fold.terms import Heard, StepOutputs
from studies.teachers import Average, EveryPath, FromAverage, LikeStates, Right, transcribed

NOISE, LENGTHS = torch.randn(2, 8000, generator=torch.Generator().manual_seed(1)), torch.tensor([8000, 6000])
TARGETS = Targets(torch.tensor([[1, 2], [2, 1]]), torch.tensor([2, 2]))
SAMPLED = SPACE.canonical(3)
PATHS = StepPaths(SPACE.deepest, SPACE.seed, (SAMPLED,))


def stepped(model: Recogniser, paths: StepPaths = PATHS, targets: Targets = TARGETS) -> StepOutputs:
    found = model(NOISE, LENGTHS, paths.in_order, with_hidden=True)
    counts = Counts.of(targets.num_units, found.num_frames)
    tasks = JointObjective()._of_utterances(found, targets, counts)
    return StepOutputs(paths, found, targets, counts, 1.0, tasks, Heard(NOISE, LENGTHS))


def test_every_path_learns_from_the_deepest() -> None:
    step = stepped(built(Conformer))
    students = (step.outputs[1], step.outputs[2])
    expected = sum(step.divergence(step.deepest, student).sum() for student in students) / 2
    torch.testing.assert_close(EveryPath()(step), expected)
    assert EveryPath()(stepped(built(Conformer), StepPaths(SPACE.deepest))) is None
    assert EveryPath(temperature=3.0)(step) != EveryPath()(step)
    with pytest.raises(FoldError, match="temperature of 0"):
        EveryPath(temperature=0)


def test_a_temperature_keeps_the_size_of_gradients() -> None:
    """Of distributions close to each other T^2 KL tends to half the squared distance of centred logits over units."""
    step = stepped(built(Conformer))
    ten, hundred = (EveryPath(temperature=t)(step) for t in (10.0, 100.0))
    torch.testing.assert_close(ten, hundred, rtol=0.2, atol=0)


def test_only_utterances_that_the_teacher_transcribes_count() -> None:
    model = built(Conformer)
    step = stepped(model)
    best = step.deepest.ctc_log_probs.argmax(-1)[0, : step.deepest.num_frames[0]].tolist()
    read = [unit for unit, before in zip(best, [0, *best], strict=False) if unit and unit != before]
    wanted = torch.zeros(2, max(2, len(read)), dtype=torch.long)
    wanted[0, : len(read)] = torch.tensor(read)
    wanted[1, :2] = torch.tensor([3, 3])
    targets = Targets(wanted, torch.tensor([len(read), 2]))
    step = stepped(model, targets=targets)
    assert transcribed(step, step.deepest).tolist() == [True, False]
    torch.testing.assert_close(Right()(step), step.divergence(step.deepest, step.seed)[0])


def test_states_are_compared_layer_by_layer_and_teach_only_the_seed() -> None:
    model = built(Conformer)
    step = stepped(model)
    assert 0 < LikeStates()(step) < 2
    alike = LikeStates()(stepped(model, StepPaths(SPACE.seed, SPACE.seed)))
    torch.testing.assert_close(alike, torch.tensor(0.0), atol=1e-6, rtol=0)
    for state in step.deepest.hidden:
        state.retain_grad()
    LikeStates()(step).backward()
    assert step.deepest.hidden[-1].grad is None


def test_the_average_follows_the_model_and_is_not_trained() -> None:
    model = built(Conformer)
    term = FromAverage(decay=0.9)
    companion = term.new_companion(model, 8000).train()
    assert isinstance(companion, Average) and not companion.model.training
    before = companion.model.ctc_head.weight.clone()
    with torch.no_grad():
        model.ctc_head.weight.add_(1.0)
    loss = term(replace(stepped(model), companion=companion))
    torch.testing.assert_close(companion.model.ctc_head.weight, before + 0.1)
    loss.backward()
    assert loss > 0
    assert model.ctc_head.weight.grad is not None
    assert all(parameter.grad is None for parameter in companion.parameters())

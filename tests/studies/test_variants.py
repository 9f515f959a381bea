"""The variants of the study are what they are called."""

import pytest
import torch
from small_networks import SMALL, SPACE, built, outputs

from fold.checkpoint import Description
from fold.losses import Counts, Targets
from fold.models import Conformer, Recogniser
from fold.objective import JointObjective
from fold.paths import Path, PathSpace
from fold.sampling import StepPaths
from fold.terms import StepOutputs
from fold.text.units import CharUnits
from studies.conditioning import DepthConditioned
from studies.rivals import EarlyExit
from studies.variants import (
    Adapters,
    BetweenRepeats,
    CyclicFeedback,
    CyclicOrder,
    PrivateBatchNorm,
    PrivateNorms,
    SelfConditioned,
    cyclic,
)


@pytest.mark.parametrize(("kind", "more"), [(PrivateNorms, 2 * 6 * 2 * 16), (Adapters, 2 * 2 * 16 * 8)])
def test_what_repeats_own_begins_as_the_plain_model_and_is_theirs_alone(kind: type[Conformer], more: int) -> None:
    plain, varied = built(Conformer), built(kind)
    assert varied.num_parameters() == plain.num_parameters() + more
    both = [SPACE.seed, SPACE.deepest]
    for expected, found in zip(outputs(plain, both), outputs(varied, both), strict=True):
        torch.testing.assert_close(found, expected)
    outputs(varied, [SPACE.seed])[0].sum().backward()
    assert all(p.grad is None for p in own(varied))
    outputs(varied, [SPACE.deepest])[0].square().sum().backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in own(varied))


def own(model: Recogniser) -> list[torch.nn.Parameter]:
    shared = {id(p) for p in model.unfolding.layers.parameters()}
    return [p for p in model.unfolding.later.parameters() if id(p) not in shared]


def test_private_batch_norm_keeps_statistics_of_each_repeat() -> None:
    model = built(PrivateBatchNorm, conv_norm="batch").train()
    outputs(model, [SPACE.seed])
    first, second = model.unfolding.layers[0], model.unfolding.later[0][0]
    assert first.convolution.norm.num_batches_tracked == 1
    assert second.convolution.norm.num_batches_tracked == 0
    outputs(model, [SPACE.deepest])
    assert second.convolution.norm.num_batches_tracked == 1
    assert second.convolution.depthwise.weight is first.convolution.depthwise.weight


def test_cyclic_order_runs_rounds() -> None:
    assert str(cyclic(Path.parse("1-1-2-2"))) == "1-2-1-2"
    assert str(cyclic(Path.parse("1-2-2-3-4-4"))) == "1-2-3-4-2-4"
    plain, varied = built(Conformer), built(CyclicOrder)
    [found] = outputs(varied, [SPACE.deepest])
    [expected] = outputs(plain, [Path.parse("1-2-1-2")])
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("kind", "without"), [(CyclicFeedback, CyclicOrder), (SelfConditioned, Conformer)])
def test_repeats_alone_are_told_what_the_head_says(kind: type[Conformer], without: type[Conformer]) -> None:
    plain, varied = built(without), built(kind)
    feedback = varied.unfolding.feedback
    assert varied.num_parameters() == plain.num_parameters() + feedback.project.weight.numel()
    paths = [path for depth in SPACE.depths for path in SPACE.paths(depth)]
    for expected, found in zip(outputs(plain, paths), outputs(varied, paths), strict=True):
        torch.testing.assert_close(found, expected)  # it begins as nothing
    torch.nn.init.normal_(feedback.project.weight)
    both = zip(paths, outputs(plain, paths), outputs(varied, paths), strict=True)
    assert {path for path, untold, told in both if torch.equal(untold, told)} == {SPACE.seed}
    noise, lengths = torch.randn(1, 8000), torch.tensor([8000])
    walked = dict(varied.walk(noise, lengths, paths))
    for index, together in enumerate(varied(noise, lengths, paths)):
        torch.testing.assert_close(walked[index].ctc_log_probs, together.ctc_log_probs)


def test_states_between_repeats_are_read_by_the_shared_head() -> None:
    """On a path that ends there, the loss of a state is the task loss."""
    model = built(Conformer).eval()
    noise, lengths = torch.randn(2, 8000, generator=torch.Generator().manual_seed(1)), torch.tensor([8000, 6000])
    targets = Targets(torch.tensor([[1, 2], [2, 1]]), torch.tensor([2, 2]))
    counts = Counts.of(targets.num_units, torch.tensor([1, 1]))
    space = PathSpace(2, (1, 2))
    outputs = model(noise, lengths, [space.deepest, space.seed], with_hidden=True)  # 1-2-2 and 1-2
    tasks = JointObjective()._of_utterances(outputs, targets, counts)
    step = StepOutputs(StepPaths(space.deepest, space.seed), outputs, targets, counts, 1.0, tasks)
    torch.testing.assert_close(BetweenRepeats()(step), tasks[1].sum())
    alone = StepOutputs(
        StepPaths(space.seed), model(noise, lengths, [space.seed], with_hidden=True), targets, counts, 1.0, tasks[1:]
    )
    assert BetweenRepeats()(alone) is None


@pytest.mark.parametrize(
    "kind",
    [
        PrivateNorms,
        PrivateBatchNorm,
        Adapters,
        CyclicOrder,
        CyclicFeedback,
        DepthConditioned,
        EarlyExit,
        SelfConditioned,
    ],
)
def test_a_checkpoint_can_name_a_variant(kind: type[Conformer]) -> None:
    described = Description(kind(**SMALL), SPACE, CharUnits("ab "), 8000, "nowhere")
    assert described.to_dict()["architecture"] == f"{kind.__module__}.{kind.__name__}"
    assert Description.from_dict(described.to_dict()).architecture == kind(**SMALL)

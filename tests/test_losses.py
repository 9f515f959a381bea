"""The joint objective against enumeration, loops, and its formula written out."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, kl_divergence

from fold.errors import FoldError
from fold.losses import Counts, Targets, attention_losses, ctc_fits, ctc_losses, divergence
from fold.models import PathOutput, PathOutputs
from fold.objective import JointObjective, Losses
from fold.paths import Path
from fold.sampling import StepPaths
from fold.terms import Distillation, Ramp, SampledTask, SeedTask, StepOutputs, Term

VOCAB, FRAMES, BATCH = 5, 7, 4
NUM_FRAMES = [7, 4, 6, 3]
UNITS = [[1, 1, 3], [2], [3, 2], [1]]


def targets(extra: int = 0) -> Targets:
    """Transcripts with rubbish past their ends."""
    length = max(map(len, UNITS)) + extra
    rows = [units + [3] * (length - len(units)) for units in UNITS]
    return Targets(torch.tensor(rows), torch.tensor([len(units) for units in UNITS]))


def logits(seed: int, length: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(BATCH, length, VOCAB, generator=generator, dtype=torch.float64)


def outputs_of(pairs: Sequence[tuple[Tensor, Tensor | None]], num_frames: Sequence[int] = NUM_FRAMES) -> PathOutputs:
    """What paths give whose heads give these logits, of frames and of tokens."""
    frames, tokens = zip(*pairs, strict=True)
    return PathOutputs(
        paths=[Path((0,))] * len(pairs),
        encoded=torch.empty(len(pairs), 0),
        num_frames=torch.tensor(num_frames),
        ctc_log_probs=torch.stack(frames).log_softmax(-1),
        decoder_log_probs=None if tokens[0] is None else torch.stack(tokens).log_softmax(-1),
    )


def losses_of(
    objective: JointObjective, outputs: PathOutputs, targets: Targets, progress: float, counts: Counts | None = None
) -> Losses:
    """Of the deepest path, the seed and sampled ones, in this order; of the deepest if there is no other."""
    deepest, *others = outputs.paths
    roles = StepPaths(deepest, others[0] if others else None, tuple(others[1:]))
    return objective(roles, outputs, targets, progress, counts)


def hybrid_logits(num_paths: int) -> list[tuple[Tensor, Tensor]]:
    return [(logits(2 * i, FRAMES), logits(2 * i + 1, len(UNITS[0]) + 1)) for i in range(num_paths)]


def hybrid(num_paths: int) -> PathOutputs:
    return outputs_of(hybrid_logits(num_paths))


def trainable(num_paths: int) -> tuple[list[Tensor], PathOutputs]:
    """Logits that want gradients, frames and tokens of each path in turn, and the outputs made of them."""
    pairs = [(frames.requires_grad_(), tokens.requires_grad_()) for frames, tokens in hybrid_logits(num_paths)]
    return [leaf for pair in pairs for leaf in pair], outputs_of(pairs)


def collapse(alignment: tuple[int, ...]) -> list[int]:
    return [unit for unit, _ in itertools.groupby(alignment) if unit]


def test_ctc_equals_the_sum_over_all_alignments() -> None:
    log_probs = logits(0, FRAMES)[:, :, :4].log_softmax(-1)
    losses = ctc_losses(log_probs, torch.tensor(NUM_FRAMES), targets())
    for row, (num_frames, units) in enumerate(zip(NUM_FRAMES, UNITS, strict=True)):
        probs = log_probs[row, :num_frames].exp().tolist()
        total = sum(
            math.prod(frame[unit] for frame, unit in zip(probs, alignment, strict=True))
            for alignment in itertools.product(range(4), repeat=num_frames)
            if collapse(alignment) == units
        )
        assert float(losses[row]) == pytest.approx(-math.log(total), rel=1e-9)


@pytest.mark.parametrize("units", [[1, 2, 3, 1], [1, 1, 1]])
def test_transcripts_that_do_not_fit_cost_nothing(units: list[int]) -> None:
    """Four units do not fit three frames, nor do three equal ones with the blanks between them."""
    frames = logits(0, FRAMES).requires_grad_()
    rows = torch.tensor([[2] + [0] * (len(units) - 1)] * 3 + [units])
    written = Targets(rows, torch.tensor([1, 1, 1, len(units)]))
    losses = ctc_losses(frames.log_softmax(-1), torch.tensor(NUM_FRAMES), written)
    losses.sum().backward()
    assert losses[3] == 0
    assert not frames.grad[3].any()
    assert (losses[:3] > 0).all()
    assert frames.grad[:3].isfinite().all()


def test_prefixes_begin_and_next_units_end_with_eos() -> None:
    eos = VOCAB - 1
    prefixes, next_units = targets().prefixes(eos).tolist(), targets().next_units(eos).tolist()
    for row, units in enumerate(UNITS):
        assert prefixes[row][: len(units) + 1] == [eos, *units]
        assert next_units[row] == [*units, eos, *[-100] * (len(UNITS[0]) - len(units))]


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_attention_loss_equals_a_loop(smoothing: float) -> None:
    [one] = hybrid(1)
    losses = attention_losses(one.decoder_log_probs, targets(), smoothing)
    for row, units in enumerate(UNITS):
        expected = 0.0
        for position, unit in enumerate([*units, VOCAB - 1]):
            log_probs = one.decoder_log_probs[row, position].tolist()
            expected -= (1 - smoothing) * log_probs[unit] + smoothing * sum(log_probs) / VOCAB
        assert float(losses[row]) == pytest.approx(expected, rel=1e-9)


def test_divergence_is_torchs_on_valid_positions() -> None:
    teacher, student = logits(0, FRAMES).log_softmax(-1), logits(1, FRAMES).log_softmax(-1)
    mask = torch.tensor([[frame < length for frame in range(FRAMES)] for length in NUM_FRAMES])
    losses = divergence(teacher, student, mask)
    pointwise = kl_divergence(Categorical(logits=teacher), Categorical(logits=student))
    for row, length in enumerate(NUM_FRAMES):
        assert float(losses[row]) == pytest.approx(float(pointwise[row, :length].sum()), rel=1e-9)
    assert (losses > 0).all()
    torch.testing.assert_close(divergence(teacher, teacher, mask), torch.zeros(BATCH, dtype=torch.float64))


def test_no_gradient_enters_the_teacher() -> None:
    teacher, student = logits(0, FRAMES).requires_grad_(), logits(1, FRAMES).requires_grad_()
    mask = torch.ones(BATCH, FRAMES, dtype=torch.bool)
    divergence(teacher.log_softmax(-1), student.log_softmax(-1), mask).sum().backward()
    assert teacher.grad is None
    assert student.grad.abs().max() > 0.1


def test_distillation_moves_the_seed_alone() -> None:
    """With and without it the deepest and the sampled path get the same gradients, the seed others."""
    gradients = []
    for weight in (0.0, 2.0):
        leaves, outputs = trainable(3)
        objective = JointObjective(distillation=Distillation(weight, 0.0, 0.0))
        gradients.append(torch.autograd.grad(losses_of(objective, outputs, targets(), 1.0).total, leaves))
    for index, (without, with_) in enumerate(zip(*gradients, strict=True)):
        assert torch.equal(without, with_) == (index not in (2, 3))


RAMPS = {"seed": SeedTask(0.7), "sampled": SampledTask(0.4, 0.2, 0.6), "distillation": Distillation(1.5, 0.5, 1.0)}


@pytest.mark.parametrize("progress", [0.0, 0.3, 0.5, 0.8, 1.0])
def test_total_is_the_weighted_sum_of_the_parts(progress: float) -> None:
    _, outputs = trainable(4)
    losses = losses_of(JointObjective(**RAMPS), outputs, targets(), progress)
    assert losses.total.requires_grad
    expected = losses.parts["task_deepest"]
    for name, part in (("seed", "task_seed"), ("sampled", "task_sampled"), ("distillation", "distillation")):
        expected = expected + RAMPS[name].at(progress) * losses.parts.get(part, 0.0)
    torch.testing.assert_close(losses.total, expected)
    assert ("distillation" in losses.parts) == (progress > 0.5)
    assert not any(part.requires_grad for part in losses.parts.values())


@pytest.mark.parametrize("ctc_weight", [0.0, 0.3, 1.0])
def test_parts_are_averages_over_units_and_frames(ctc_weight: float) -> None:
    outputs, num_units = hybrid(4), sum(map(len, UNITS))
    objective = JointObjective(**RAMPS, ctc_weight=ctc_weight, label_smoothing=0.2)
    parts = losses_of(objective, outputs, targets(), 1.0).parts

    def task(one: PathOutput) -> float:
        ctc = ctc_losses(one.ctc_log_probs, one.num_frames, targets())
        attention = attention_losses(one.decoder_log_probs, targets(), 0.2)
        return float(ctc_weight * ctc.sum() + (1 - ctc_weight) * attention.sum()) / num_units

    def kl(name: str, row: int, length: int) -> float:
        pair = (Categorical(logits=getattr(one, name)[row, :length]) for one in (outputs[0], outputs[1]))
        return float(kl_divergence(*pair).sum())

    by_frame = sum(kl("ctc_log_probs", row, length) for row, length in enumerate(NUM_FRAMES)) / sum(NUM_FRAMES)
    by_unit = sum(kl("decoder_log_probs", row, len(units) + 1) for row, units in enumerate(UNITS)) / num_units
    assert float(parts["task_deepest"]) == pytest.approx(task(outputs[0]))
    assert float(parts["task_seed"]) == pytest.approx(task(outputs[1]))
    assert float(parts["task_sampled"]) == pytest.approx((task(outputs[2]) + task(outputs[3])) / 2)
    assert float(parts["distillation"]) == pytest.approx(ctc_weight * by_frame + (1 - ctc_weight) * by_unit)


def test_without_a_decoder_ctc_is_all() -> None:
    outputs = replace(hybrid(2), decoder_log_probs=None)
    losses = losses_of(JointObjective(distillation=Distillation(0.0)), outputs, targets(), 0.0)
    paths = [ctc_losses(one.ctc_log_probs, one.num_frames, targets()).sum() for one in outputs]
    expected = sum(paths) / sum(map(len, UNITS))
    torch.testing.assert_close(losses.total, expected)


def test_the_deepest_path_alone() -> None:
    losses = losses_of(JointObjective(**RAMPS), hybrid(1), targets(), 1.0)
    assert set(losses.parts) == {"task_deepest"}
    torch.testing.assert_close(losses.total, losses.parts["task_deepest"])


@dataclass(frozen=True)
class Constant(Term):
    """Half of what a step's first sampled path says of the first unit, or nothing."""

    needs_hidden = True

    def __call__(self, step: StepOutputs) -> Tensor | None:
        return step.sampled[0].ctc_log_probs[0, 0, 1] / 2 if step.sampled else None


def test_further_terms_are_added_with_their_weight() -> None:
    outputs = hybrid(3)
    plain = losses_of(JointObjective(**RAMPS), outputs, targets(), 0.75)
    objective = JointObjective(**RAMPS, further={"mine": Constant(3.0, 0.5, 1.0)})
    losses = losses_of(objective, outputs, targets(), 0.75)
    own = outputs[2].ctc_log_probs[0, 0, 1] / 2
    assert losses.parts == {**plain.parts, "mine": own}
    torch.testing.assert_close(losses.total, plain.total + 1.5 * own)
    assert "mine" not in losses_of(objective, hybrid(2), targets(), 0.75).parts  # nothing was sampled
    assert "mine" not in losses_of(objective, outputs, targets(), 0.5).parts  # its weight is 0 yet


def test_hidden_states_are_wanted_while_a_term_that_needs_them_counts() -> None:
    objective = JointObjective(further={"mine": Constant(3.0, 0.5, 1.0)})
    assert [objective.needs_hidden(progress) for progress in (0.0, 0.5, 0.6, 1.0)] == [False, False, True, True]
    assert not JointObjective().needs_hidden(1.0)


def test_a_term_cannot_take_the_name_of_another() -> None:
    with pytest.raises(FoldError, match="task_seed is a term already"):
        JointObjective(further={"task_seed": Constant()})


def test_sampled_paths_without_a_seed() -> None:
    """As of a sampler that trains the deepest path and others between."""
    outputs = hybrid(3)
    roles = StepPaths(outputs.paths[0], None, tuple(outputs.paths[1:]))
    losses = JointObjective()(roles, outputs, targets(), 1.0)
    with_seed = losses_of(JointObjective(), outputs, targets(), 1.0).parts
    assert set(losses.parts) == {"task_deepest", "task_sampled"}
    torch.testing.assert_close(losses.parts["task_sampled"], (with_seed["task_seed"] + with_seed["task_sampled"]) / 2)


def test_ends_without_sampled_paths() -> None:
    losses = losses_of(JointObjective(**RAMPS), hybrid(2), targets(), 1.0)
    assert set(losses.parts) == {"task_deepest", "task_seed", "distillation"}


def test_distillation_only_where_the_teacher_is_better() -> None:
    both = hybrid(2)
    everywhere = JointObjective(distillation=Distillation(1.0, 0.0, 0.0))
    gated = replace(everywhere, distillation=replace(everywhere.distillation, where="teacher_better"))

    def task(one: PathOutput) -> Tensor:
        ctc = ctc_losses(one.ctc_log_probs, one.num_frames, targets())
        return 0.3 * ctc + 0.7 * attention_losses(one.decoder_log_probs, targets(), 0.1)

    better = task(both[0]) < task(both[1])
    assert 0 < int(better.sum()) < BATCH
    total = 0.0
    for row in better.nonzero().flatten().tolist():
        one_row = select(both, slice(row, row + 1))
        counts = Counts.of(targets().num_units, both.num_frames)
        total += losses_of(everywhere, one_row, select_targets(slice(row, row + 1)), 1.0, counts).parts["distillation"]
    parts = losses_of(gated, both, targets(), 1.0).parts
    torch.testing.assert_close(parts["distillation"], total)
    assert parts["distillation"] < losses_of(everywhere, both, targets(), 1.0).parts["distillation"]


def select(outputs: PathOutputs, rows: slice) -> PathOutputs:
    return replace(
        outputs,
        num_frames=outputs.num_frames[rows],
        ctc_log_probs=outputs.ctc_log_probs[:, rows],
        decoder_log_probs=outputs.decoder_log_probs[:, rows],
    )


def select_targets(rows: slice) -> Targets:
    return Targets(targets().units[rows], targets().num_units[rows])


@pytest.mark.parametrize("where", ["everywhere", "teacher_better"])
def test_ranks_with_mean_counts_average_to_the_whole_batch(where: str) -> None:
    objective = JointObjective(**{**RAMPS, "distillation": Distillation(1.5, 0.5, 1.0, where)})
    leaves, outputs = trainable(3)
    whole = torch.autograd.grad(losses_of(objective, outputs, targets(), 1.0).total, leaves, retain_graph=True)

    ranks = [slice(0, 1), slice(1, BATCH)]  # of unequal sizes
    shares = [(select(outputs, rows), select_targets(rows)) for rows in ranks]
    own = [Counts.of(there.num_units, here.num_frames) for here, there in shares]
    mean = Counts(sum(c.units for c in own) / 2, sum(c.frames for c in own) / 2)
    totals = [losses_of(objective, *share, 1.0, mean).total for share in shares]
    averaged = torch.autograd.grad(sum(totals) / 2, leaves)
    for gradient, expected in zip(averaged, whole, strict=True):
        torch.testing.assert_close(gradient, expected, rtol=1e-6, atol=1e-9)


def test_padding_changes_neither_loss_nor_gradient() -> None:
    objective = JointObjective(**RAMPS)
    results = []
    for extra in (0, 3):
        leaves, _ = trainable(3)
        rubbish = 50 * torch.randn(BATCH, extra, VOCAB, dtype=torch.float64)
        longer = [torch.cat([leaf, rubbish], dim=1) for leaf in leaves]
        outputs = outputs_of([tuple(longer[i : i + 2]) for i in (0, 2, 4)])
        total = losses_of(objective, outputs, targets(extra), 1.0).total
        results.append((total, *torch.autograd.grad(total, leaves)))
    for padded, tight in zip(*results, strict=True):
        torch.testing.assert_close(padded, tight, rtol=1e-9, atol=1e-9)


def test_padded_positions_get_no_gradient() -> None:
    leaves, outputs = trainable(3)
    gradients = torch.autograd.grad(losses_of(JointObjective(**RAMPS), outputs, targets(), 1.0).total, leaves)
    for row, (num_frames, units) in enumerate(zip(NUM_FRAMES, UNITS, strict=True)):
        for frames, tokens in zip(gradients[::2], gradients[1::2], strict=True):
            assert not frames[row, num_frames:].any()
            assert frames[row, :num_frames].any(-1).all()
            assert not tokens[row, len(units) + 1 :].any()
            assert tokens[row, : len(units) + 1].any(-1).all()


def test_losses_stay_in_fp32_under_autocast() -> None:
    outputs = outputs_of([(frames.float(), tokens.float()) for frames, tokens in hybrid_logits(3)])
    expected = losses_of(JointObjective(**RAMPS), outputs, targets(), 1.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = losses_of(JointObjective(**RAMPS), outputs, targets(), 1.0)
    for value, reference in zip(
        [losses.total, *losses.parts.values()], [expected.total, *expected.parts.values()], strict=True
    ):
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, reference, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("ramp", "weights"),
    [
        (Ramp(2.0), {0.0: 2, 0.5: 2, 1.0: 2}),
        (Ramp(2.0, 0.5, 1.0), {0.0: 0, 0.5: 0, 0.75: 1, 1.0: 2}),
        (Ramp(2.0, 0.0, 0.5), {0.0: 0, 0.25: 1, 0.5: 2, 0.9: 2}),
        (Ramp(2.0, 0.5, 0.5), {0.0: 0, 0.49: 0, 0.5: 2, 1.0: 2}),
        (Ramp(0.0, 0.2, 0.4), {0.0: 0, 0.3: 0, 1.0: 0}),
    ],
    ids=str,
)
def test_ramp(ramp: Ramp, weights: dict[float, float]) -> None:
    assert {progress: pytest.approx(ramp.at(progress)) for progress in weights} == weights


@pytest.mark.parametrize("heads", ["ctc", "hybrid"])
def test_a_row_without_units_has_no_part_in_any_loss(heads: str) -> None:
    """It fills the batch of a rank that has nothing for a step: neither losses nor what they average over see it."""
    real = targets()
    objective = JointObjective(distillation=Distillation(1.0, 0.0, 0.0))
    pairs = hybrid_logits(3) if heads == "hybrid" else [(logits(i, FRAMES), None) for i in range(3)]

    def with_row(values: Tensor | None) -> Tensor | None:
        return None if values is None else torch.cat([values, values[:1].flip(1)])

    alone = losses_of(objective, outputs_of(pairs), real, 1.0)
    filled_targets = Targets(torch.cat([real.units, real.units[:1]]), torch.cat([real.num_units, torch.tensor([0])]))
    longer = [(with_row(frames), with_row(tokens)) for frames, tokens in pairs]
    filled = outputs_of(longer, [*NUM_FRAMES, FRAMES])
    together = losses_of(objective, filled, filled_targets, 1.0)
    assert together.parts.keys() == alone.parts.keys()
    for name, part in alone.parts.items():
        torch.testing.assert_close(together.parts[name], part)


def test_a_batch_of_nothing_but_filling_costs_nothing() -> None:
    nothing = Targets(torch.zeros(BATCH, 1, dtype=torch.long), torch.zeros(BATCH, dtype=torch.long))
    frames = [logits(i, FRAMES).requires_grad_() for i in range(3)]
    outputs = outputs_of([(one, None) for one in frames])
    objective = JointObjective(distillation=Distillation(1.0, 0.0, 0.0))
    total = losses_of(objective, outputs, nothing, 1.0).total
    total.backward()
    assert float(total) == 0.0
    assert all(not one.grad.any() for one in frames)


def test_ctc_fits_where_an_alignment_exists() -> None:
    for units in itertools.chain.from_iterable(itertools.product((1, 2), repeat=n) for n in range(4)):
        for num_frames in range(6):
            exists = any(
                collapse(alignment) == list(units) for alignment in itertools.product(range(3), repeat=num_frames)
            )
            assert ctc_fits(units, num_frames) == exists

"""Samplers and terms of others are checked before the first step, and a checkpoint names them."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path as FilePath

import pytest
from conftest import Finished
from torch import Tensor

from fold.errors import FoldError
from fold.objective import JointObjective
from fold.paths import Path, PathSpace
from fold.registry import pack, unpack_fields
from fold.sampling import DepthFirst, Growth, PathSampler, StepPaths, Uniform
from fold.terms import Distillation, StepOutputs, Term
from fold.training.method import Method

SPACE = PathSpace(3, 2)


@dataclass(frozen=True)
class Nothing(Term):
    """A term that is never there."""

    width: tuple[int, ...] = (1, 2)

    def __call__(self, step: StepOutputs) -> Tensor | None:
        return None


@dataclass(frozen=True)
class Astray(PathSampler):
    """Late in training it draws what the model has not."""

    def paths(self, space: PathSpace, step: int, progress: float, generator: random.Random) -> StepPaths:
        return StepPaths(Path((0, 0, 0)) if progress > 0.5 else space.deepest)


@pytest.mark.parametrize(
    "method",
    [
        Method(DepthFirst(), JointObjective()),
        Method(Uniform(3, Growth(0.1, 0.2)), JointObjective(distillation=Distillation(0.3), ctc_weight=0.5)),
        Method(DepthFirst(), JointObjective(further={"mine": Nothing(0.2, width=(3,))})),
    ],
    ids=["default", "uniform", "further"],
)
def test_what_is_packed_comes_back(method: Method) -> None:
    method.check(SPACE)
    assert unpack_fields(Method, pack(method)) == method


def test_a_sampler_that_leaves_the_space_is_refused() -> None:
    with pytest.raises(FoldError, match=r"model.sampler: Astray draws the path 1-1-1, which this model has not"):
        Method(Astray(), JointObjective()).check(SPACE)


def test_a_class_that_nobody_could_find_again_is_refused() -> None:
    class InTheScript(Nothing):
        __module__ = "__main__"

    @dataclass(frozen=True)
    class Local(Nothing):
        pass

    for term, said in ((InTheScript(), "move the class to a module"), (Local(), "could not keep them: no term")):
        with pytest.raises(FoldError, match=said) as caught:
            Method(DepthFirst(), JointObjective(further={"mine": term})).check(SPACE)
        assert len(str(caught.value).splitlines()) == 1


def test_what_is_no_term_is_refused() -> None:
    with pytest.raises(FoldError, match=r"further.mine is 3: expected a subclass of fold.terms.Term"):
        Method(DepthFirst(), JointObjective(further={"mine": 3})).check(SPACE)  # type: ignore[dict-item]


def test_a_term_that_reads_states_trains_and_is_no_part_of_a_validation(
    fold_command: Callable[..., Finished], tones_config: FilePath
) -> None:
    further = "{between: {class_path: studies.variants.BetweenRepeats, init_args: {weight: 0.3}}}"
    method = [f"--model.objective.further={further}", "--model.sampler.growth={alone: 0, grown: 0}"]
    whole = ["--model.objective.deepest.weight=0", "--trainer.val_check_interval=1", "--trainer.log_every_n_steps=1"]
    fold_command("fit", f"--config={tones_config}", "--run_dir=run", *method, *whole)
    rows = list(csv.DictReader(FilePath("run/metrics.csv").read_text().splitlines()))
    assert any(float(row["train/between"] or 0) > 0 for row in rows)
    assert any(float(row["val/loss"] or 0) > 0 for row in rows)

"""Stopping by confidence: which depths an utterance tries, what they cost, and what is chosen on dev."""

from pathlib import Path

import numpy as np
import pytest

from fold.paths import PathSpace
from fold.report.record import read_record
from studies.stopping import Policy, Said, hear, outcome, policies, table

SPACE = PathSpace(2, 2)  # canonical paths 1-2, 1-2-2, 1-1-2-2
EASY = Said(2, {2: 0, 3: 0, 4: 0}, {2: "a b", 3: "a b", 4: "a b"}, {2: -0.1, 3: -0.1, 4: -0.1})
HARD = Said(2, {2: 2, 3: 1, 4: 0}, {2: "c d", 3: "a d", 4: "a b"}, {2: -0.9, 3: -0.5, 4: -0.2})


@pytest.mark.parametrize(
    ("policy", "easy", "hard"),
    [
        (Policy((4,), None), (4,), (4,)),
        (Policy((2, 3, 4), None), (2, 3), (2, 3, 4)),
        (Policy((2, 3, 4), -0.6), (2,), (2, 3)),
        (Policy((2, 4), -0.6), (2,), (2, 4)),
        (Policy((2, 4), 0.0), (2, 4), (2, 4)),
    ],
)
def test_an_utterance_climbs_until_it_is_sure_or_two_agree(
    policy: Policy, easy: tuple[int, ...], hard: tuple[int, ...]
) -> None:
    assert policy.tried(EASY) == easy
    assert policy.tried(HARD) == hard


def test_common_calls_of_tried_paths_are_paid_once() -> None:
    found = outcome(Policy((2, 4), -0.6), [EASY, HARD], SPACE)
    assert found.wer == 0
    assert found.calls == np.mean([2, 2 + 3])  # of 1-2 the deepest shares one call
    assert outcome(Policy((2,), None), [EASY, HARD], SPACE).wer == 50


def test_fixed_depths_are_among_the_policies_and_none_that_costs_more_is_chosen() -> None:
    assert {policy.ladder for policy in policies([2, 3, 4], [EASY])} >= {(2,), (3,), (4,), (2, 3, 4)}
    rows = table(SPACE, [EASY, HARD] * 5, [EASY, HARD] * 5).splitlines()[2:]
    for row in rows:
        depth, _, fixed, _, stopping, calls, _ = (cell.strip() for cell in row.strip("|").split("|"))
        assert float(calls) <= float(depth)
        assert float(stopping) <= float(fixed)
    assert "| 0.00 | 3.50 | 2 4, sureness" in rows[-1]


def test_a_checkpoint_is_heard_as_its_sweep_heard_it(tones_config: Path, tmp_path: Path, fold_command) -> None:
    fold_command("fit", "--config", tones_config, "--run_dir", tmp_path / "run")
    record = read_record(tmp_path / "run" / "depth_sweep.json")
    space, said = hear(str(tmp_path / "run" / "checkpoints" / "last.ckpt"), None, "test")
    for depth in space.depths:
        assert outcome(Policy((depth,), None), said, space).wer == pytest.approx(record.canonical[depth].wer)
        assert outcome(Policy((depth,), None), said, space).calls == depth

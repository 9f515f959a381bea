"""Layers that know their repeat begin as the plain ones, and are told apart by what ran before and what is left."""

import torch
from small_networks import SPACE, built, outputs

from fold.models import Conformer
from fold.paths import Path
from studies.conditioning import DepthConditioned

PATHS = [path for depth in SPACE.depths for path in SPACE.paths(depth)]


def test_begins_as_the_plain_model_with_a_gain_and_a_shift_for_each_kind_of_call() -> None:
    plain, told = built(Conformer), built(DepthConditioned)
    assert told.num_parameters() == plain.num_parameters() + 2 * 4 * 2 * 16
    for expected, found in zip(outputs(plain, PATHS), outputs(told, PATHS), strict=True):
        torch.testing.assert_close(found, expected)


def test_a_call_is_told_what_ran_before_and_what_is_left() -> None:
    unfolding = built(DepthConditioned).unfolding
    once, first, again = (unfolding.calls_of(Path.parse(text)).layers for text in ("1-2", "1-1-2", "1-2-2"))
    assert once[0] != first[0] != first[1] != once[0]
    assert once == (again[0], first[2])
    assert len({*once, *first, *again}) == 6
    deeper = unfolding.calls_of(Path.parse("1-1-1-2")).layers  # more than are told apart
    assert len(deeper) == 4


def test_together_and_one_by_one_all_paths_give_the_same() -> None:
    told = built(DepthConditioned).eval()
    for call in told.unfolding.calls:
        torch.nn.init.normal_(call.gain)
        torch.nn.init.normal_(call.shift)
    noise, lengths = torch.randn(1, 8000), torch.tensor([8000])
    paths = [*PATHS, Path.parse("1-1-1-2"), Path.parse("1-1-1-1-2-2-2")]
    walked = dict(told.walk(noise, lengths, paths))
    for index, (path, together) in enumerate(zip(paths, told(noise, lengths, paths), strict=True)):
        [alone] = told(noise, lengths, [path])
        torch.testing.assert_close(together.ctc_log_probs, alone.ctc_log_probs)
        torch.testing.assert_close(walked[index].ctc_log_probs, alone.ctc_log_probs)
    different = {outputs(told, [path])[0].sum().item() for path in PATHS}
    assert len(different) == len(PATHS)

import pytest
import torch

from fold.decoding import ctc_greedy


def collapse(units: list[int], blank: int) -> list[int]:
    labels = []
    previous = None
    for unit in units:
        if unit != previous and unit != blank:
            labels.append(unit)
        previous = unit
    return labels


@pytest.mark.parametrize("blank", [0, 2])
def test_equals_a_loop_over_the_frames(blank: int) -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(20, 15, 3, generator=generator)
    num_frames = torch.randint(0, 16, (20,), generator=generator)
    best = scores.argmax(-1).tolist()
    expected = [collapse(row[:n], blank) for row, n in zip(best, num_frames.tolist(), strict=True)]
    assert ctc_greedy(scores, num_frames, blank) == expected


def test_a_blank_between_equal_units_keeps_both() -> None:
    one_hot = torch.eye(3)[torch.tensor([[1, 1, 0, 1, 2, 2]])]
    assert ctc_greedy(one_hot, torch.tensor([6])) == [[1, 1, 2]]


def test_no_frames_give_no_labels() -> None:
    assert ctc_greedy(torch.zeros(2, 0, 4), torch.zeros(2, dtype=torch.long)) == [[], []]

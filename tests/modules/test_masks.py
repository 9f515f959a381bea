import torch

from fold.modules.masks import length_mask


def test_equals_a_loop() -> None:
    lengths = [0, 3, 5, 9]
    mask = length_mask(torch.tensor(lengths), 5)
    assert mask.dtype == torch.bool
    assert mask.tolist() == [[position < length for position in range(5)] for length in lengths]

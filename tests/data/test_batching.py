"""Batches: padding, and what a batch without utterances is."""

import torch

from fold.data.batching import Example, collate
from fold.data.faults import Fault


def test_collate_pads_with_zeros() -> None:
    examples = [
        Example("a", "one", torch.arange(1.0, 4.0), torch.tensor([5, 6])),
        Example("b", "", torch.arange(1.0, 6.0), torch.tensor([], dtype=torch.long)),
        Example("c", "two", torch.tensor([9.0]), torch.tensor([7, 8, 9])),
    ]
    batch = collate(examples)
    assert batch.waveforms.tolist() == [[1, 2, 3, 0, 0], [1, 2, 3, 4, 5], [9, 0, 0, 0, 0]]
    assert batch.waveforms.dtype == torch.float32
    assert batch.num_samples.tolist() == [3, 5, 1]
    assert batch.units.tolist() == [[5, 6, 0], [0, 0, 0], [7, 8, 9]]
    assert batch.units.dtype == torch.long
    assert batch.num_units.tolist() == [2, 0, 3]
    assert (batch.ids, batch.texts) == (["a", "b", "c"], ["one", "", "two"])


def test_a_batch_without_utterances_is_silence_without_units() -> None:
    fault = Fault("no transcript", "train-000000.tar", "a", "its text is empty")
    batch = collate([], [fault])
    assert (batch.ids, batch.texts, batch.faults) == ([], [], [fault])
    assert batch.num_units.tolist() == [0]
    assert batch.waveforms.shape == (1, int(batch.num_samples)) and not batch.waveforms.any()

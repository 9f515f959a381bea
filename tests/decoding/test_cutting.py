"""What `fold transcribe` cuts, and when frames are."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import TINY_NETWORK
from models.foundation.directories import SHAPE

from fold.decoding.cutting import Cutting, frame_times, needed_samples
from fold.errors import FoldError
from fold.models import Conformer, Foundation

NETWORKS = {
    "conformer": Conformer(**TINY_NETWORK),
    "foundation": Foundation(shape=replace(SHAPE, num_layers=2, conv_norm="layer")),
}
RATE = 8000


@pytest.mark.parametrize("name", NETWORKS)
def test_needed_samples(name: str) -> None:
    network = NETWORKS[name]
    for frames in (1, 2, 3, 17, 500):
        samples = needed_samples(network, frames, RATE)
        assert network.num_frames(samples, RATE) == frames
        assert network.num_frames(samples - 1, RATE) == frames - 1


@pytest.mark.parametrize("name", NETWORKS)
def test_frames_of_a_later_utterance_are_later(name: str) -> None:
    first, later = (frame_times(NETWORKS[name], RATE, start).span(range(3, 5)) for start in (0, 3 * RATE))
    assert later == pytest.approx([seconds + 3 for seconds in first])


@pytest.mark.parametrize("name", NETWORKS)
def test_the_shortest_utterance_has_a_frame(name: str) -> None:
    bang = np.concatenate([1e-3 * np.sin(np.arange(RATE)), np.sin(np.arange(RATE // 10)), np.zeros(RATE)])
    [piece] = Cutting()(bang.astype(np.float32), RATE)
    assert NETWORKS[name].num_frames(round(0.1 * RATE), RATE) >= 1
    assert len(piece.samples) >= 0.1 * RATE


@pytest.mark.parametrize("setting", ["pause", "longest"])
@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_settings_must_be_above_zero(setting: str, seconds: float) -> None:
    with pytest.raises(FoldError, match=f"cutting.{setting} is {seconds} s: expected more than 0"):
        Cutting(**{setting: seconds})

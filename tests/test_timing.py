"""Times that compare: what is timed takes turns, so that load on the machine falls on all alike."""

import pytest
import torch

from fold import timing
from fold.timing import in_turns


class Watched:
    """Stands for a model along a path: it says when it is called, and takes the time that a clock shows."""

    def __init__(self, name: str, model: object, calls: list[str], seconds: float = 1.0) -> None:
        self.name, self.model, self.calls, self.seconds = name, model, calls, seconds

    def factor(self, waveform: torch.Tensor) -> float:
        self.calls.append(self.name)
        return self.seconds * len(waveform)


def test_each_takes_every_utterance_in_turn_after_a_run_of_its_model() -> None:
    calls: list[str] = []
    small, large = object(), object()
    timed = [Watched("a", small, calls), Watched("b", small, calls), Watched("c", large, calls)]
    in_turns(timed, [torch.zeros(1), torch.zeros(2)])
    assert sorted(calls[:2]) == ["a", "c"] and calls[2:5] == ["a", "b", "c"]
    assert calls[5:] == calls[:5]


def test_the_spread_is_that_of_the_middle_half() -> None:
    [time] = in_turns([Watched("a", object(), [])], [torch.zeros(n) for n in (1, 2, 3, 4, 100)])
    assert (time.low, time.median, time.high) == (2, 3, 4)
    assert in_turns([Watched("a", object(), [])], []) == []


def test_a_factor_is_seconds_of_computing_for_a_second_of_audio(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 10.5])
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(timing, "transcribe", lambda *_: [[""]])
    timed = timing.Timed(torch.nn.Linear(1, 1), None, 8000, None, None)
    assert timed.factor(torch.zeros(16000)) == 0.25

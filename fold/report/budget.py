"""Which depth to use: the smallest that is good enough, the best that is fast enough."""

from __future__ import annotations

from dataclasses import dataclass

from fold.errors import FoldError
from fold.report.record import Record
from fold.report.sweep import SweepRow


@dataclass(frozen=True)
class Budget:
    """What a depth may cost.

    Args:
        within: Percent that its WER may exceed the lowest WER, relative to it; null: it must be the lowest.
        real_time_factor: Seconds of computing that a second of audio may take on this machine; null: any.
    """

    within: float | None = None
    real_time_factor: float | None = None

    def __bool__(self) -> bool:
        return self.within is not None or self.real_time_factor is not None


def choose(record: Record, budget: Budget) -> SweepRow | None:
    """The shallowest depth, by its canonical path, whose WER lies within the budget of the lowest among those that are
    fast enough; None if none is.

    Raises FoldError if a real-time factor is asked for and none was measured.
    """
    affordable = [row for row in record.canonical.values() if _is_fast_enough(record, row, budget)]
    limit = min((row.wer for row in affordable), default=0.0) * (1 + (budget.within or 0) / 100)
    return next((row for row in affordable if row.wer <= limit), None)


def _is_fast_enough(record: Record, row: SweepRow, budget: Budget) -> bool:
    if budget.real_time_factor is None:
        return True
    if row.path not in record.real_time_factors:
        raise FoldError(f"{record.name}: no real-time factor of path {row.path} was measured; run `fold sweep` again")
    return record.real_time_factors[row.path] <= budget.real_time_factor


def advice(record: Record, budget: Budget) -> str:
    """The choice in one line, with what it rests on."""
    wanted = []
    if budget.real_time_factor is not None:
        wanted.append(f"real-time factor up to {budget.real_time_factor:g} on {record.device}")
    if budget.within is not None:
        wanted.append(f"WER within {budget.within:g} % of the lowest")
    row = choose(record, budget)
    if row is None:
        fastest = min(record.real_time_factors.values())
        return f"{', '.join(wanted)}: no depth; the fastest takes {fastest:.3g}"
    factor = record.real_time_factors.get(row.path)
    speed = "" if factor is None else f", real-time factor {factor:.3g}"
    return f"{', '.join(wanted)}: depth {row.depth} (path {row.path}, WER {row.wer:.2f} %{speed})"

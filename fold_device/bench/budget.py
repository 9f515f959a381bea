"""Which depth and precision to use: the best that a device can afford."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fold_device.bench.record import Record, Row
from fold_device.errors import DeviceError

UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


@dataclass(frozen=True)
class Budget:
    """What a depth may cost.

    Args:
        memory: Most that it may take above an empty process, such as 40MB; None: any.
        real_time_factor: Seconds of computing that a second of audio may take on one thread; None: any.
        within: Percent that its WER may lie above the lowest of those that can be afforded, relative to it; None: it
            must be the lowest.

    Raises:
        DeviceError: The memory is no size.
    """

    memory: str | None = None
    real_time_factor: float | None = None
    within: float | None = None

    def __post_init__(self) -> None:
        self.most_bytes  # noqa: B018 - raises

    @property
    def most_bytes(self) -> float | None:
        """The memory in bytes."""
        return None if self.memory is None else parse_size(self.memory)

    def __bool__(self) -> bool:
        return (self.memory, self.real_time_factor, self.within) != (None, None, None)

    def affords(self, row: Row) -> bool:
        """By the highest of the rounds."""
        fits = self.most_bytes is None or row.memory_bytes.high <= self.most_bytes
        return fits and (self.real_time_factor is None or row.real_time_factor.high <= self.real_time_factor)


def parse_size(text: str) -> float:
    """Bytes of a size such as 40MB, 38MiB or 40000000. Raises DeviceError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if not found or found[2] not in UNITS:
        raise DeviceError(f"size {text!r}: expected one such as 40MB or 38MiB")
    return float(found[1]) * UNITS[found[2]]


def choose(record: Record, budget: Budget) -> Row | None:
    """Of the rows that can be afforded, the shallowest whose WER lies within the budget of the lowest, and of its
    precisions the fastest; without WERs the deepest, of the most bytes.

    None if none can be afforded. Raises DeviceError if WER is asked for in vain.
    """
    rows = [row for row in record.rows if budget.affords(row)]
    if not rows:
        return None
    wers = [row.wer for row in rows if row.wer is not None]
    if len(wers) < len(rows):
        if budget.within is not None:
            raise DeviceError(f"{record.name}: no WER was measured; give the transcripts to `fold-device bench`")
        return max(rows, key=lambda row: (row.depth, row.stored_bytes))
    limit = min(wers) * (1 + (budget.within or 0) / 100)
    good = [row for row in rows if row.wer is not None and row.wer <= limit]
    return min(good, key=lambda row: (row.depth, row.real_time_factor.median))


def advice(record: Record, budget: Budget) -> str:
    """The choice in one line, with what it rests on."""
    wanted = ", ".join(_wanted(record, budget))
    row = choose(record, budget)
    if row is None:
        smallest = min(row.memory_bytes.high for row in record.rows)
        fastest = min(row.real_time_factor.high for row in record.rows)
        return f"{wanted}: no depth; the smallest takes {smallest / 1e6:.1f} MB, the fastest {fastest:.3g}"
    quality = "" if row.wer is None else f"WER {row.wer:.2f} %, "
    cost = f"{row.memory_bytes.median / 1e6:.1f} MB, real-time factor {row.real_time_factor.median:.3g}"
    return f"{wanted}: depth {row.depth} in {row.precision} ({quality}{cost})"


def _wanted(record: Record, budget: Budget) -> list[str]:
    wanted = []
    if budget.memory is not None:
        wanted.append(f"memory up to {budget.memory}")
    if budget.real_time_factor is not None:
        wanted.append(f"real-time factor up to {budget.real_time_factor:g} on {record.device}")
    if budget.within is not None:
        wanted.append(f"WER within {budget.within:g} % of the lowest")
    return wanted

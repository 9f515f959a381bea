"""Bad data: what it is called, how it is counted, and when it stops a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from fold.errors import FoldError


class Fault(NamedTuple):
    """Why an utterance is not used. shard: its file; id: the utterance's, or its row where that cannot be read."""

    reason: str
    shard: str
    id: str
    detail: str

    def __str__(self) -> str:
        return f"{self.shard}, {self.id}: {self.reason} ({self.detail})"


class BadUtterance(FoldError):
    """Raised where an utterance is read that cannot be used."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


@dataclass(frozen=True)
class FaultPolicy:
    """What bad data does.

    Args:
        on_fault: `skip` leaves the utterance out and counts it, `raise` stops at the first.
        max_share: Share of a split's utterances that may be skipped in one pass; more always stops the run.
    """

    on_fault: Literal["skip", "raise"] = "skip"
    max_share: float = 0.01

    def __post_init__(self) -> None:
        if not self.max_share >= 0:
            raise FoldError(f"bad_data.max_share is {self.max_share}: expected a share, 0 to 1")


class FaultCounts:
    """Faults so far, by reason and shard."""

    def __init__(self, counts: Counter[tuple[str, str]] | None = None) -> None:
        self.counts = Counter() if counts is None else counts

    def __len__(self) -> int:
        return self.counts.total()

    def add(self, faults: Iterable[Fault]) -> None:
        """Counts `faults`."""
        self.counts.update((fault.reason, fault.shard) for fault in faults)

    def by_reason(self) -> dict[str, int]:
        """Number of faults of each reason."""
        counts: Counter[str] = Counter()
        for (reason, _), number in self.counts.items():
            counts[reason] += number
        return dict(counts)

    def by_shard(self) -> Counter[str]:
        """Number of faults in each shard."""
        counts: Counter[str] = Counter()
        for (_, shard), number in self.counts.items():
            counts[shard] += number
        return counts

    def summary(self, what: str) -> str:
        """One line for the end of a run: how many of `what` were skipped, why, and where most of them lie."""
        reasons = [f"{number} x {reason}" for reason, number in Counter(self.by_reason()).most_common()]
        [(shard, number), *others] = self.by_shard().most_common()
        where = f"{number} of them in {shard}" if others else f"all in {shard}"
        return f"bad data: {len(self)} {what} utterances skipped ({', '.join(reasons)}; {where})"


def enforce(policy: FaultPolicy, new: Sequence[Fault], skipped: int, utterances: int) -> None:
    """Raises FoldError where the policy says so.

    new: faults of a batch (none: after a pass); skipped: faults in this pass, those included; utterances: of a pass.
    """
    if new and policy.on_fault == "raise":
        raise FoldError(f"bad data in {new[0]}")
    if skipped > policy.max_share * utterances:
        last = f"; the last: {new[-1]}" if new else ""
        raise FoldError(
            f"bad data: {skipped} of {utterances} utterances, more than the share of {policy.max_share} that may be "
            f"skipped{last}"
        )


def watched(batches: Iterable[Any], policy: FaultPolicy, utterances: int, counts: FaultCounts) -> Iterator[Any]:
    """The batches of a pass over `utterances`; their faults go to `counts`. Raises FoldError as `enforce`."""
    for batch in batches:
        counts.add(batch.faults)
        enforce(policy, batch.faults, len(counts), utterances)
        yield batch

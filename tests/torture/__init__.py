"""The fault harness: runs killed, data damaged, servers hostile. `make torture` runs it in full, the tests a little."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tally:
    """How a kind of torture ended. tried: faults; survived: those that cost nothing but what they hit."""

    kind: str
    tried: int
    survived: int

    @property
    def lost(self) -> int:
        return self.tried - self.survived

    def __str__(self) -> str:
        return f"{self.kind}: {self.tried} tried / {self.survived} survived / {self.lost} lost"

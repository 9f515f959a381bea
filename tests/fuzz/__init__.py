"""Inputs mutated by the thousand: each is read as it is, told to be flawed, or refused in one line. `make fuzz` does
that in full, the tests a little."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from fold.errors import FoldError


@dataclass
class Findings:
    """What became of mutated inputs of one kind. outcomes: how many were read, flawed, refused; bad: of each case that
    ended otherwise, what it was."""

    kind: str
    outcomes: Counter[str] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)

    @property
    def tried(self) -> int:
        return self.outcomes.total()

    def try_case(self, name: str, case: Callable[[], str]) -> None:
        """Runs a case, which returns its outcome; raises AssertionError for a silent difference."""
        try:
            outcome = case()
        except FoldError as error:
            outcome = "refused"
            if len(str(error).splitlines()) != 1:
                outcome = "message of several lines"
        except AssertionError as error:
            outcome = "silent difference"
            self.bad.append(f"{name}: {error}")
        except Exception as error:
            outcome = "crash"
            self.bad.append(f"{name}: {type(error).__name__}: {error}")
        self.outcomes[outcome] += 1

    def __str__(self) -> str:
        counts = ", ".join(f"{number} {outcome}" for outcome, number in sorted(self.outcomes.items()))
        return f"{self.kind}: {self.tried} tried: {counts}"

"""The result of a benchmark, and its table for the terminal, Markdown and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.timing import ratios

HEADINGS = ("", "n", "median", "min-max", "by calls", "/ by calls")


@dataclass(frozen=True)
class Row:
    """One figure. values: measured, one a round; unit: "x" for a ratio, or "MiB".

    expected: the ratio of the layer calls in each round ("by calls"), or empty.
    """

    name: str
    values: Sequence[float]
    unit: str = "x"
    expected: Sequence[float] = ()

    @property
    def excess(self) -> tuple[float, ...]:
        """Measured over expected, one a round."""
        return ratios(self.values, self.expected) if self.expected else ()

    def cells(self) -> tuple[str, ...]:
        """The row as text, in the order of HEADINGS."""
        spread = f"{_number(min(self.values))}-{_number(max(self.values))}" if len(self.values) > 1 else ""
        expected = f"{median(self.expected):.2f} x" if self.expected else ""
        excess = f"{median(self.excess):.3f}" if self.expected else ""
        return (
            self.name,
            str(len(self.values)),
            f"{_number(median(self.values))} {self.unit}",
            spread,
            expected,
            excess,
        )

    def to_dict(self) -> dict[str, object]:
        """The row as plain data."""
        return {
            "name": self.name,
            "unit": self.unit,
            "median": median(self.values),
            "values": list(self.values),
            "expected": list(self.expected),
            "measured_over_expected": median(self.excess) if self.expected else None,
        }


@dataclass(frozen=True)
class Section:
    """All that one benchmark found. notes: whole lines of text below the table."""

    title: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def cells(self) -> list[tuple[str, ...]]:
        """The headings and all rows as text, without the columns that no row fills."""
        columns = len(HEADINGS) if any(row.expected for row in self.rows) else HEADINGS.index("by calls")
        return [cells[:columns] for cells in (HEADINGS, *(row.cells() for row in self.rows))]

    def print(self, console: Console) -> None:
        """Prints the table, at most 80 columns wide, and the notes."""
        headings, *rows = self.cells()
        table = Table()
        for index, heading in enumerate(headings):
            table.add_column(heading, justify="right" if index else "left", no_wrap=not index)
        for cells in rows:
            table.add_row(*cells)
        console.print(f"\n[bold]{self.title}[/bold]", table, *self.notes, sep="\n", highlight=False)

    def to_markdown(self) -> str:
        """The same in Markdown, ending in a line feed."""
        headings, *rows = self.cells()
        lines = [headings, (":---", *["---:"] * (len(headings) - 1)), *rows]
        table = "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
        return f"### {self.title}\n\n{table}\n" + "".join(f"- {note}\n" for note in self.notes)

    def to_dict(self) -> dict[str, object]:
        """The same as plain data."""
        return {"title": self.title, "rows": [row.to_dict() for row in self.rows], "notes": self.notes}


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}"

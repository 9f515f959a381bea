"""A record as a figure: WER against memory and against the real-time factor. The one user of Matplotlib here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fold_device.bench.record import Record, Row
from fold_device.errors import DeviceError

COLOURS = ("#1f6fb2", "#2a9d8f", "#7b5ea7", "#b8860b")
BESIDE = ("#c8452f", "#3c8d5a", "#8a5bb0")
INK, MUTED, GRID = "#1f2933", "#6b7785", "#e4e8ec"


def draw(record: Record, beside: Sequence[Record], file: str | Path) -> None:
    """Saves the figure of a record, with other models beside it. Raises DeviceError without Matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise DeviceError("no figure: `pip install matplotlib` lets it be drawn") from None
    figure = Figure(figsize=(10, 4.6), dpi=160, layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    axes_of = ("peak memory above an empty process (MB)", "real-time factor, one thread")
    for axes, label, value in zip(panels, axes_of, (_memory, _factor), strict=True):
        for other, colour in zip(beside, BESIDE * len(beside), strict=False):
            _line(axes, other, value, colour, "s", other.name)
        for precision, colour in zip(_precisions(record), COLOURS * 4, strict=False):
            _line(axes, _only(record, precision), value, colour, "o", f"{record.name}, {precision}")
        _finish(axes, label)
    panels[0].set_ylabel("WER (%)", color=INK)
    panels[0].legend(fontsize=8.5, labelcolor=INK, frameon=False)
    figure.suptitle(f"{record.name}: depths on {record.device}", x=0.01, ha="left", color=INK, fontweight="bold")
    figure.savefig(file)


def _memory(row: Row) -> tuple[float, float, float]:
    spread = row.memory_bytes
    return spread.median / 1e6, spread.low / 1e6, spread.high / 1e6


def _factor(row: Row) -> tuple[float, float, float]:
    spread = row.real_time_factor
    return spread.median, spread.low, spread.high


def _precisions(record: Record) -> list[str]:
    return list(dict.fromkeys(row.precision for row in record.rows))


def _only(record: Record, precision: str) -> Record:
    rows = tuple(row for row in record.rows if row.precision == precision)
    return Record(**{**record.__dict__, "rows": rows})


def _line(axes: Any, record: Record, value: Any, colour: str, marker: str, label: str) -> None:
    rows = [row for row in record.rows if row.wer is not None]
    middles, lows, highs = zip(*map(value, rows), strict=True) if rows else ((), (), ())
    errors = [
        [middle - low for middle, low in zip(middles, lows, strict=True)],
        [high - middle for middle, high in zip(middles, highs, strict=True)],
    ]
    wers = [row.wer for row in rows]
    axes.errorbar(middles, wers, xerr=errors, fmt=f"-{marker}", color=colour, capsize=2, markersize=5, label=label)
    for row, x in zip(rows, middles, strict=True):
        axes.annotate(str(row.depth), (x, row.wer), (5, 4), textcoords="offset points", color=colour, fontsize=8.5)


def _finish(axes: Any, label: str) -> None:
    axes.set_xlabel(label, color=INK)
    axes.set_xlim(0, axes.get_xlim()[1] * 1.05)
    axes.set_ylim(0, axes.get_ylim()[1] * 1.05)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(color=MUTED, labelcolor=INK)
    axes.grid(axis="y", color=GRID)
    axes.set_axisbelow(True)

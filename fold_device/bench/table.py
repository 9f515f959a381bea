"""A record as a table of plain text."""

from __future__ import annotations

from fold_device.bench.record import Record, Row, Spread

HEADINGS = ("depth", "precision", "WER %", "disk MB", "memory MB", "load ms", "first s", "RTF, 1 thread", "RTF, all")


def table(record: Record) -> str:
    """One line for each depth and precision; the range of the rounds in brackets."""
    lines = [HEADINGS, *map(_cells, record.rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    shown.insert(1, "-" * len(shown[0]))
    return "\n".join([f"{record.name} on {record.device}, {record.runtime}", *shown, _caption(record)])


def _cells(row: Row) -> tuple[str, ...]:
    return (
        str(row.depth),
        row.precision,
        "-" if row.wer is None else f"{row.wer:.2f}",
        f"{row.stored_bytes / 1e6:.2f}",
        _shown(row.memory_bytes, 1e-6, ".1f"),
        _shown(row.load_seconds, 1e3, ".0f"),
        _shown(row.first_result_seconds, 1, ".2f"),
        _shown(row.real_time_factor, 1, ".4f"),
        _shown(row.real_time_factor_all, 1, ".4f"),
    )


def _shown(spread: Spread, scale: float, form: str) -> str:
    middle, low, high = (format(value * scale, form) for value in (spread.median, spread.low, spread.high))
    return middle if low == high else f"{middle} [{low}-{high}]"


def _caption(record: Record) -> str:
    rests = f"; WER: {record.words:,} words" if record.words else ""
    return (
        f"median [range] of {record.rounds} rounds in which the depths took turns, a fresh process each; memory: peak "
        f"above an empty process; RTF: median of {record.timed} files, {record.cores} cores{rests}"
    )

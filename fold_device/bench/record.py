"""What a measurement found, as it is kept in JSON."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from fold_device.errors import DeviceError

FORMAT = "fold-device-bench"
VERSION = 1


@dataclass(frozen=True)
class Spread:
    """Median, lowest and highest of the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True)
class Row:
    """One depth at one precision.

    stored_bytes: on disk; memory_bytes: peak above an empty process, one thread; load_seconds: of the model;
    first_result_seconds: from the start of the process to the first transcript, imports included; real_time_factor,
    real_time_factor_all: seconds of computing for a second of audio, with one thread and with one for each core;
    wer: in percent, None without transcripts.
    """

    depth: int
    precision: str
    repeats: tuple[int, ...]
    stored_bytes: int
    memory_bytes: Spread
    load_seconds: Spread
    first_result_seconds: Spread
    real_time_factor: Spread
    real_time_factor_all: Spread
    wer: float | None


@dataclass(frozen=True)
class Record:
    """All rows of a model.

    device: that measured; runtime: and its version; words: of the transcripts that WER rests on; rounds: that each row
    was measured in; timed: files of each.
    """

    name: str
    device: str
    cores: int
    runtime: str
    rounds: int
    timed: int
    words: int
    rows: tuple[Row, ...]


def write_record(record: Record, file: str | Path) -> None:
    """Writes a record as JSON; the file appears complete or not at all."""
    file = Path(file)
    part = file.with_name(f"{file.name}.part")
    plain = {"format": FORMAT, "version": VERSION, **dataclasses.asdict(record)}
    part.write_text(json.dumps(plain, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(file)


def read_record(file: str | Path) -> Record:
    """Reads what `write_record` wrote. Raises DeviceError if the file is missing or is something else."""
    try:
        plain = json.loads(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise DeviceError(f"{file}: {error.strerror}") from None
    except ValueError as error:
        raise DeviceError(f"{file}: damaged, or no JSON ({error})") from None
    if not isinstance(plain, dict) or (plain.pop("format", None), plain.pop("version", None)) != (FORMAT, VERSION):
        raise DeviceError(f"{file}: no record of `fold-device bench`, version {VERSION}")
    try:
        return Record(**{**plain, "rows": tuple(map(_row, plain["rows"]))})
    except (KeyError, TypeError) as error:
        raise DeviceError(f"{file}: no whole record of `fold-device bench` ({error})") from None


def _row(plain: dict[str, Any]) -> Row:
    spreads = {name: Spread(**value) for name, value in plain.items() if isinstance(value, dict)}
    return Row(**{**plain, **spreads, "repeats": tuple(plain["repeats"])})

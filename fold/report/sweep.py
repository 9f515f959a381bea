"""The depth sweep: one row per evaluated path, kept as `depth_sweep.csv`, and its summary by depth."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

from fold.errors import FoldError
from fold.files import replacing
from fold.metrics import ErrorCounts


@dataclass(frozen=True)
class SweepRow:
    """The result of one path; the field names are the columns of the file.

    Attributes:
        depth: executed layers.
        path: text form of the path, such as `1-1-2-3`.
        canonical: whether it is the evenly spread path of its depth; `True` or `False` in the file.
        num_params: parameters of the model that runs it.
        wer, cer: word and character (spaces included) error rate in percent.
        substitutions, deletions, insertions: word errors.
        words, sentences: size of the references.
        subset: of the evaluated split; empty in a file of before there were subsets.
        decoding: how transcripts were found, such as `greedy`; empty in a file of before there could be several ways.
    """

    depth: int
    path: str
    canonical: bool
    num_params: int
    wer: float
    cer: float
    substitutions: int
    deletions: int
    insertions: int
    words: int
    sentences: int
    subset: str = ""
    decoding: str = ""

    @classmethod
    def from_counts(
        cls, depth: int, path: str, canonical: bool, num_params: int, counts: ErrorCounts, subset: str, decoding: str
    ) -> "SweepRow":
        """The row of a path with these errors."""
        return cls(
            depth=depth,
            path=path,
            canonical=canonical,
            num_params=num_params,
            wer=counts.wer,
            cer=counts.cer,
            substitutions=counts.substitutions,
            deletions=counts.deletions,
            insertions=counts.insertions,
            words=counts.words,
            sentences=counts.sentences,
            subset=subset,
            decoding=decoding,
        )


GREEDY = "greedy"  # the decoding of every path; canonical ones may have a row of another besides
FIELDS = {field.name: field for field in fields(SweepRow)}
COLUMNS = tuple(FIELDS)
NEEDED = {name for name, field in FIELDS.items() if field.default is MISSING}
PARSERS: dict[type, Callable[[str], object]] = {
    int: int,
    float: float,
    str: str,
    bool: {"True": True, "False": False}.__getitem__,
}


def write_sweep(rows: Iterable[SweepRow], file: str | Path) -> None:
    """Write rows as CSV with full precision; the file appears complete or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(asdict, rows))
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as stream:
        stream.write(text.getvalue().encode())


def read_sweep(file: str | Path) -> list[SweepRow]:
    """Read what `write_sweep` wrote.

    Raises:
        FoldError: the file is missing, or is not a depth sweep.
    """
    try:
        with Path(file).open(newline="", encoding="utf-8") as stream:
            reader = csv.reader(stream)
            header = next(reader, [])
            if len(header) > len(set(header)) or not NEEDED <= set(header) <= set(COLUMNS):
                found = ",".join(header)[:80] or "nothing"
                raise FoldError(f"{file} is not a depth sweep: its columns are {found}, not {','.join(COLUMNS)}")
            return [_parse(header, cells, f"{file}, line {reader.line_num}") for cells in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FoldError(f"cannot read the depth sweep {file}: {_one_line(error)}") from error


def _parse(header: Sequence[str], cells: Sequence[str], where: str) -> SweepRow:
    if len(cells) != len(header):
        raise FoldError(f"{where}: {len(cells)} cells where the first line has {len(header)}")
    values: dict[str, Any] = {}
    for name, cell in zip(header, cells, strict=True):
        expected = FIELDS[name].type
        assert isinstance(expected, type)  # no string, as the annotations of this module are evaluated
        try:
            values[name] = PARSERS[expected](cell)
        except (ValueError, KeyError) as error:
            raise FoldError(f"{where}: {name} is {cell!r}, not a {expected.__name__}") from error
    return SweepRow(**values)


def _one_line(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error).splitlines()[0]


@dataclass(frozen=True)
class DepthSummary:
    """The WER (percent) of one depth over its evaluated paths.

    Attributes:
        mean, std, best, worst: over the paths, all decoded alike; `std` is that of these very paths, not an estimate
            for others.
        canonical: the row of the canonical path, if it was evaluated; of two, the one that was not decoded greedily.
    """

    depth: int
    num_paths: int
    num_params: int
    mean: float
    std: float
    best: float
    worst: float
    canonical: SweepRow | None


def by_subset(rows: Iterable[SweepRow]) -> dict[str, list[SweepRow]]:
    """Part a sweep by subset."""
    parts: dict[str, list[SweepRow]] = {}
    for row in rows:
        parts.setdefault(row.subset, []).append(row)
    return parts


def pooled(rows: Sequence[SweepRow], chars: Sequence[int], subset: str) -> SweepRow:
    """The row of a path over several subsets, from its row of each; chars: characters of their references."""
    counts = [
        ErrorCounts(
            row.substitutions,
            row.deletions,
            row.insertions,
            row.words,
            char_errors=round(row.cer * number / 100),
            chars=number,
            sentences=row.sentences,
        )
        for row, number in zip(rows, chars, strict=True)
    ]
    first, total = rows[0], sum(counts, ErrorCounts())
    return SweepRow.from_counts(
        first.depth, first.path, first.canonical, first.num_params, total, subset, first.decoding
    )


def decoded_alike(rows: Sequence[SweepRow]) -> list[SweepRow]:
    """The rows whose WER is comparable over paths: those decoded greedily, or all if the file does not say."""
    return [row for row in rows if row.decoding == GREEDY] or list(rows)


def searched(rows: Iterable[SweepRow]) -> str:
    """How canonical paths were decoded, if otherwise than greedily; empty if not."""
    return next((row.decoding for row in rows if row.decoding not in ("", GREEDY)), "")


def summarise(rows: Iterable[SweepRow]) -> list[DepthSummary]:
    """Summarise the sweep of one subset by depth, the shallowest first."""
    by_depth: dict[int, list[SweepRow]] = {}
    for row in rows:
        by_depth.setdefault(row.depth, []).append(row)
    return [_summarise_depth(depth, by_depth[depth]) for depth in sorted(by_depth)]


def _summarise_depth(depth: int, rows: list[SweepRow]) -> DepthSummary:
    wers = [row.wer for row in decoded_alike(rows)]
    canonical = [row for row in rows if row.canonical]
    return DepthSummary(
        depth=depth,
        num_paths=len(wers),
        num_params=rows[0].num_params,
        mean=fmean(wers),
        std=pstdev(wers),
        best=min(wers),
        worst=max(wers),
        canonical=min(canonical, key=lambda row: row.decoding == GREEDY, default=None),
    )

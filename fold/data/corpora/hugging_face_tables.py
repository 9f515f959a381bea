"""The tables in the files of Hugging Face's `datasets`: Arrow and Parquet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fold.errors import FoldError

if TYPE_CHECKING:
    import pyarrow


def top_of(path: str, columns: Sequence[str]) -> str:
    """Return the column that a path of names leads into."""
    return path if path in columns else path.split(".")[0]


def columns_of(file: Path) -> list[str]:
    """Return the names of the columns of a file."""
    opened = _open(str(file))
    names: list[str] = opened.schema_arrow.names if file.suffix == ".parquet" else opened.column_names
    return names


def read_rows(file: Path, columns: list[str]) -> list[Mapping[str, Any]]:
    """Return some columns of all rows of a file."""
    opened = _open(str(file))
    with _Reading(file):
        table = opened.read(columns) if file.suffix == ".parquet" else opened.select(columns)
        rows: list[Mapping[str, Any]] = table.to_pylist()
        return rows


def value_of(file: Path, column: str, number: int) -> Any:
    """Return what a row holds in a column."""
    with _Reading(file):
        if file.suffix != ".parquet":
            return _open(str(file))[column][number].as_py()
        metadata, group = _open(str(file)).metadata, 0
        while number >= metadata.row_group(group).num_rows:
            number -= metadata.row_group(group).num_rows
            group += 1
        return _group(str(file), column, group)[column][number].as_py()


def beside(file: Path, column: str) -> list[str | None]:
    """Return for each row the path of the recording that a column of audio tells of and does not hold, else None."""
    with _Reading(file):
        if file.suffix != ".parquet":
            return _paths(_open(str(file))[column])
        opened = _open(str(file))
        found: list[str | None] = []
        for group in range(opened.metadata.num_row_groups):
            rows = opened.metadata.row_group(group)
            # Known without a look at the audio, but where one row of the group has none, or nothing is counted.
            held = _missing(rows, f"{column}.bytes") == 0
            found += [None] * rows.num_rows if held else _paths(opened.read_row_group(group, [column])[column])
        return found


def _paths(audio: pyarrow.ChunkedArray) -> list[str | None]:
    """The path of each value that holds no bytes; None for what is no audio at all, which is named when it is read."""
    fields = [audio.type.field(index).name for index in range(audio.type.num_fields)]
    if not {"bytes", "path"} <= set(fields):
        return [None] * len(audio)
    found: list[str | None] = []
    for chunk in audio.chunks:
        held, paths = chunk.field("bytes").is_valid().to_pylist(), chunk.field("path").to_pylist()
        found += [None if is_held else path for path, is_held in zip(paths, held, strict=True)]
    return found


def _missing(rows: pyarrow.parquet.RowGroupMetaData, name: str) -> int | None:
    """How many values of a column a group of rows lacks; None if it does not tell."""
    for index in range(rows.num_columns):
        column = rows.column(index)
        if column.path_in_schema == name:
            told = column.statistics
            return told.null_count if told is not None and told.has_null_count else None
    return None


@lru_cache(maxsize=64)
def _open(file: str) -> Any:
    """Return an Arrow file as a table that lies in the file, or a Parquet file, opened."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise FoldError(f"{file}: needs a package that is missing: pip install 'fold-asr[datasets]'") from None
    with _Reading(file):
        if file.endswith(".parquet"):
            return parquet.ParquetFile(file, memory_map=True)
        return pyarrow.ipc.open_stream(pyarrow.memory_map(file)).read_all()


@lru_cache(maxsize=8)
def _group(file: str, column: str, group: int) -> pyarrow.Table:
    """Return a group of rows of a Parquet file, which cannot be read apart."""
    return _open(file).read_row_group(group, [column])


class _Reading:
    """Around reading a file: what is wrong with it is a FoldError."""

    def __init__(self, file: str | Path) -> None:
        self.file = file

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, ValueError | OSError):  # of which those of pyarrow are
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise FoldError(f"{self.file}: damaged, or no file of a dataset ({reason})") from None

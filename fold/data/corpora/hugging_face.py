"""Hugging Face `datasets` on disk: as `save_to_disk` writes them (Arrow files), or as Parquet files."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fold.audio import Audio, read_audio, read_stream
from fold.data.corpora.base import SPLITS, Recipe, Utterance, by_subset
from fold.data.corpora.hugging_face_files import LAYOUT, split_files, state
from fold.data.corpora.lists import ELSEWHERE, id_of, id_of_file, value_at
from fold.data.corpora.recorded import RecordedCorpus, folder_of
from fold.data.corpora.segments import LENGTH_SHARE, TOLERANCE
from fold.errors import FoldError

if TYPE_CHECKING:
    import pyarrow

KEYS = ("audio", "text", "speaker", "id")
STARTS = ("start", *ELSEWHERE["start"])
ENDS = ("end", *ELSEWHERE["end"])
LENGTHS = ("seconds", *ELSEWHERE["seconds"])


@dataclass(frozen=True)
class Row(Recipe):
    """An utterance of a dataset.

    Attributes:
        file: that holds it, relative to the root, with `/`.
        number: of its row, from 0.
        state: of the file (see `hugging_face_files.state`).
    """

    file: str
    number: int
    state: str


@dataclass(frozen=True)
class HuggingFace(RecordedCorpus):
    """A dataset of Hugging Face's library `datasets` in a folder; needs the package pyarrow.

    A split is a folder of Arrow files that `DatasetDict.save_to_disk` wrote, or Parquet files called `SPLIT.parquet`,
    `SPLIT-00000-of-00002.parquet` and the like, in the root or in `data/`, or in a folder of the split's name.

    Args:
        train: Name of the training split. Several by names of their own, `{clean: train.clean, other: train.other}`,
            are mixed.
        dev: Likewise, of the dev split; several are subsets, evaluated apart.
        test: Likewise, of the test split.
        columns: What the dataset calls the columns `audio` (as the feature `Audio` writes it), `text`, `speaker`
            (default: `unknown`) and `id` (default: made from file and row), where it is something else:
            `{text: sentence, speaker: client_id}`. Dots lead into columns that have parts, `translation.en`.
    """

    train: str | dict[str, str] = "train"
    dev: str | dict[str, str] = "validation"
    test: str | dict[str, str] = "test"
    columns: dict[str, str] = field(default_factory=dict)

    listing = ("train", "dev", "test")
    layout = LAYOUT

    def locate(self, root: Path | None, downloads: Path) -> Path:
        found = super().locate(root, downloads)
        for key in self.columns:
            if key not in KEYS:
                raise FoldError(f"columns: there is no '{key}'; expected some of {', '.join(KEYS)}")
        names = [name for split in SPLITS for name in self._names(split).values()]
        split_of: dict[Path, str] = {}
        for name in names:
            if names.count(name) > 1:
                raise FoldError(f"{self.name}: the split '{name}' is given twice; what is trained on is no test")
            for file in split_files(found, name):
                if file in split_of:  # by its name: that of `train-dev` begins as those of `train` do
                    raise FoldError(
                        f"{self.name}: {file} is in the splits '{split_of[file]}' and '{name}'; what is trained on is "
                        "no test: give it another name"
                    )
                split_of[file] = name
        return found

    def fetch(self, downloads: Path) -> Path:
        raise FoldError(f"{self.name}: there is nothing to download; give ROOT=, the folder of {self.layout}")

    def sources(self, recipe: Recipe, root: Path | None) -> tuple[Path, ...]:
        return ()  # the recipe tells the state of the file

    def recipes(self, split: str, root: Path | None) -> list[Recipe]:
        return [row for listed in self.subsets(split, root).values() for row in listed]

    def subsets(self, split: str, root: Path | None) -> dict[str, Sequence[Recipe]]:
        top = folder_of(root)
        return by_subset(split, {subset: self._rows(top, name) for subset, name in self._names(split).items()})

    def render(self, recipe: Recipe, root: Path | None) -> Utterance:
        assert isinstance(recipe, Row)
        where = f"{recipe.file}, row {recipe.number}"
        value = _value(folder_of(root) / recipe.file, self._column("audio"), recipe.number)
        samples, sample_rate, notices = self.checked(where, self._heard(where, value, folder_of(root)))
        _check_whole(where, folder_of(root) / recipe.file, recipe.number, len(samples), sample_rate)
        return Utterance(recipe.id, recipe.text, recipe.speaker, samples, sample_rate, notices)

    def _heard(self, where: str, value: Any, root: Path) -> Audio:
        if not isinstance(value, dict) or not {"bytes", "path"} <= value.keys():
            raise FoldError(
                f"{where}: no audio as the feature Audio of datasets writes it, a file's bytes and its path"
            )
        if value["bytes"] is not None:
            return read_stream(where, io.BytesIO(value["bytes"]), channel=self.channel)
        if value["path"] is None:
            raise FoldError(f"{where}: the audio is missing")
        return read_audio(root / value["path"], channel=self.channel)

    def _names(self, split: str) -> dict[str, str]:
        """Return the names of the dataset's splits by subset."""
        given = {"train": self.train, "dev": self.dev, "test": self.test}[split]
        return {split: given} if isinstance(given, str) else given

    def _column(self, key: str) -> str:
        return self.columns.get(key, key)

    def _rows(self, root: Path, split: str) -> list[Row]:
        listed: dict[str, Row] = {}
        for file in split_files(root, split):
            name, now = file.relative_to(root).as_posix(), state(file)
            for number, values in enumerate(self._texts(file)):
                text = " ".join(values["text"].split())
                if not text:
                    raise FoldError(f"{name}, row {number}: empty {self._column('text')}")
                id = id_of(values["id"]) if values["id"] else id_of_file(name, str(number))
                if id in listed:
                    first = listed[id]
                    raise FoldError(
                        f"{name}, row {number}: the id '{id}' is that of row {first.number} of {first.file} already"
                    )
                listed[id] = Row(id, text, values["speaker"] or "unknown", name, number, now)
        return list(listed.values())

    def _texts(self, file: Path) -> Iterator[dict[str, str]]:
        """Yield what each row of a file holds besides audio, "" where there is nothing."""
        paths = {key: self._column(key) for key in KEYS if key != "audio"}
        names = _columns(file)
        for key in ("audio", "text"):
            column = self._column(key)
            if (column if key == "audio" else _top(column, names)) not in names:
                raise FoldError(f"{file}: no column '{column}'; there are: {', '.join(names)}; see data.corpus.columns")
        wanted = {_top(path, names) for path in paths.values()} & set(names)
        for number, row in enumerate(_read(file, sorted(wanted))):
            values = {key: value_at(row, path) for key, path in paths.items()}
            for key, value in values.items():
                if not isinstance(value, str | int | None) or (key == "text" and isinstance(value, int)):
                    raise FoldError(f"{file}, row {number}: {paths[key]} is {value!r}, expected text")
            yield {key: "" if value is None else str(value).strip() for key, value in values.items()}


def _check_whole(where: str, file: Path, number: int, samples: int, sample_rate: int) -> None:
    """Raises FoldError if the columns of a row tell when it starts and how long it lasts (in seconds, milliseconds or
    samples), and its audio has another length: then it is a part of that audio. Many datasets tell so of audio that
    was cut out before."""
    columns = _columns(file)

    def first(names: Sequence[str]) -> float | None:
        values = (_value(file, name, number) for name in names if name in columns)
        return next((float(value) for value in values if isinstance(value, int | float)), None)

    start, end, length = first(STARTS), first(ENDS), first(LENGTHS)
    told = end - (start or 0.0) if end is not None else length if start is not None else None
    seconds = samples / sample_rate
    if told is None or any(
        abs(told / unit - seconds) <= max(TOLERANCE, LENGTH_SHARE * seconds) for unit in (1, 1000, sample_rate)
    ):
        return
    raise FoldError(
        f"{where}: its audio lasts {seconds:.2f} s, but its columns tell of {told:g}; parts of recordings are not "
        "read of such datasets: write each as audio of its own, or drop the columns that tell when it starts and ends"
    )


def _top(path: str, columns: Sequence[str]) -> str:
    """Return the column that a path of names leads into."""
    return path if path in columns else path.split(".")[0]


def _columns(file: Path) -> list[str]:
    opened = _open(str(file))
    names: list[str] = opened.schema_arrow.names if file.suffix == ".parquet" else opened.column_names
    return names


def _read(file: Path, columns: list[str]) -> list[Mapping[str, Any]]:
    opened = _open(str(file))
    with _Reading(file):
        table = opened.read(columns) if file.suffix == ".parquet" else opened.select(columns)
        rows: list[Mapping[str, Any]] = table.to_pylist()
        return rows


def _value(file: Path, column: str, number: int) -> Any:
    """Return what a row holds in a column."""
    with _Reading(file):
        if file.suffix != ".parquet":
            return _open(str(file))[column][number].as_py()
        metadata, group = _open(str(file)).metadata, 0
        while number >= metadata.row_group(group).num_rows:
            number -= metadata.row_group(group).num_rows
            group += 1
        return _group(str(file), column, group)[column][number].as_py()


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

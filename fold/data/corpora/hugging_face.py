"""Hugging Face `datasets` on disk: as `save_to_disk` writes them (Arrow files), or as Parquet files."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fold.audio import Audio, read_audio, read_stream
from fold.data.corpora.base import SPLITS, Recipe, Utterance, by_subset
from fold.data.corpora.hugging_face_files import LAYOUT, split_files, state
from fold.data.corpora.hugging_face_tables import beside, columns_of, read_rows, top_of, value_of
from fold.data.corpora.lists import ELSEWHERE, id_of, id_of_file, part_told, value_at
from fold.data.corpora.recorded import RecordedCorpus, folder_of
from fold.data.corpora.segments import part_fault
from fold.errors import FoldError

KEYS = ("audio", "text", "speaker", "id")
PARTS = [name for key, others in ELSEWHERE.items() for name in (key, *others)]  # columns that tell of parts


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
class RowBeside(Row):
    """An utterance whose recording lies beside the dataset.

    Attributes:
        audio: the recording, relative to the root or absolute.
    """

    audio: str


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
        """Of a recording that a file of the dataset holds none: the recipe tells that file's state."""
        return (folder_of(root) / recipe.audio,) if isinstance(recipe, RowBeside) else ()

    def recipes(self, split: str, root: Path | None) -> list[Recipe]:
        return [row for listed in self.subsets(split, root).values() for row in listed]

    def subsets(self, split: str, root: Path | None) -> dict[str, Sequence[Recipe]]:
        top = folder_of(root)
        return by_subset(split, {subset: self._rows(top, name) for subset, name in self._names(split).items()})

    def render(self, recipe: Recipe, root: Path | None) -> Utterance:
        assert isinstance(recipe, Row)
        where = f"{recipe.file}, row {recipe.number}"
        value = value_of(folder_of(root) / recipe.file, self._column("audio"), recipe.number)
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
        if "://" in value["path"]:
            raise FoldError(f"{where}: its audio lies at {value['path']}; save the dataset with its audio embedded")
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
            self._check_columns(file)
            name, now = file.relative_to(root).as_posix(), state(file)
            paths = beside(file, self._column("audio"))
            for number, (values, path) in enumerate(zip(self._texts(file), paths, strict=True)):
                text = " ".join(values["text"].split())
                if not text:
                    raise FoldError(f"{name}, row {number}: empty {self._column('text')}")
                id = id_of(values["id"]) if values["id"] else id_of_file(name, str(number))
                if id in listed:
                    first = listed[id]
                    raise FoldError(
                        f"{name}, row {number}: the id '{id}' is that of row {first.number} of {first.file} already"
                    )
                row = Row(id, text, values["speaker"] or "unknown", name, number, now)
                listed[id] = row if path is None else RowBeside(**vars(row), audio=path)
        return list(listed.values())

    def _check_columns(self, file: Path) -> None:
        names = columns_of(file)
        for key in ("audio", "text"):
            column = self._column(key)
            if (column if key == "audio" else top_of(column, names)) not in names:
                raise FoldError(f"{file}: no column '{column}'; there are: {', '.join(names)}; see data.corpus.columns")

    def _texts(self, file: Path) -> Iterator[dict[str, str]]:
        """Yield what each row of a file holds besides audio, "" where there is nothing."""
        paths = {key: self._column(key) for key in KEYS if key != "audio"}
        names = columns_of(file)
        wanted = {top_of(path, names) for path in paths.values()} & set(names)
        for number, row in enumerate(read_rows(file, sorted(wanted))):
            values = {key: value_at(row, path) for key, path in paths.items()}
            for key, value in values.items():
                if not isinstance(value, str | int | None) or (key == "text" and isinstance(value, int)):
                    raise FoldError(f"{file}, row {number}: {paths[key]} is {value!r}, expected text")
            yield {key: "" if value is None else str(value).strip() for key, value in values.items()}


def _check_whole(where: str, file: Path, number: int, samples: int, sample_rate: int) -> None:
    """Raises FoldError if the columns of a row tell of a part of its audio."""
    columns = columns_of(file)
    told = part_told({name: value_of(file, name, number) for name in PARTS if name in columns})
    if told is not None and (fault := part_fault(told, samples / sample_rate, sample_rate)):
        raise FoldError(
            f"{where}: its audio {fault}, by its columns; parts of recordings are not read of such datasets: "
            "write each as audio of its own, or drop the columns that tell when it starts and ends"
        )

"""Recordings of one's own, listed in one file (or folder of Kaldi's) per split: no code needed."""

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fold.audio import Channel
from fold.data.corpora.base import SPLITS, Recipe, by_subset
from fold.data.corpora.kaldi import is_kaldi
from fold.data.corpora.lists import Row, id_of, id_of_file, read_rows
from fold.data.corpora.recorded import ChannelSegment, RecordedCorpus, Recording, Segment, folder_of
from fold.data.corpora.segments import TOLERANCE
from fold.data.corpora.stm import is_stm
from fold.errors import FoldError


@dataclass(frozen=True)
class Manifest(RecordedCorpus):
    """Any recordings, in any format and sample rate that libsndfile reads, with their transcripts.

    A list is a TSV or CSV file whose first line names its columns, a JSONL file (or one called .json) with an object a
    line, any of these packed by gzip, a folder as Kaldi has it (wav.scp, text, perhaps segments and utt2spk), or an
    STM file or a folder of them.
    Columns or keys: `audio` (path, relative to the list's folder or absolute), `text`, and, if wanted, `speaker`
    (default: `unknown`), `id` (default: made from the path), and `start` (default: 0) and `seconds` or `end` (default:
    until it ends) of an utterance that is a part of a longer recording. Only if `columns` names it: `channel`, which of
    the recording's channels an utterance is in (a number from 1, `left`, `right` or `mix`). Further ones are ignored.

    Args:
        train: List, relative to the root. Several of a split by names of their own,
            `{clean: test_clean.tsv, noisy: test_noisy.tsv}`, are subsets, evaluated apart.
        dev: Likewise, of the dev split.
        test: Likewise, of the test split.
        columns: What the lists call these columns, where it is something else: `{audio: path, text: sentence}`. In
            JSON, dots lead further in, `supervisions.0.text`, and `*` joins the texts of a list; `audio` may be a
            recording of lhotse's, whose channels are then named as there.
        audio_folder: Where paths of audio begin, relative to the root; null: the list's folder.
        audio_suffix: Of recordings that the lists name without it, such as `.ogg`; they may then lie in any folder
            below.
    """

    train: str | dict[str, str] = "train.tsv"
    dev: str | dict[str, str] = "dev.tsv"
    test: str | dict[str, str] = "test.tsv"
    columns: dict[str, str] = field(default_factory=dict)
    audio_folder: str | None = None
    audio_suffix: str = ""

    listing = ("train", "dev", "test", "columns", "audio_folder", "audio_suffix")
    layout = "a manifest for each split, with columns audio, text and, if wanted, speaker and id"

    def locate(self, root: Path | None, downloads: Path) -> Path:
        found = super().locate(root, downloads)
        for manifest in self._files():
            path = found / manifest
            if not path.is_file() and not is_kaldi(path) and not is_stm(path):
                raise FoldError(f"{self.name}: no file {path}; expected {self._asked(manifest)}")
        self._keep_apart(found)
        return found

    def _asked(self, manifest: str) -> str:
        """What is to lie at a place that the settings name."""
        if not Path(manifest).suffix:
            return "a folder as Kaldi has it, with wav.scp and text, or one of STM files"
        if self.columns:
            return f"a list with columns or keys {', '.join(self.columns.values())}"
        return self.layout

    def _keep_apart(self, root: Path) -> None:
        """Raises FoldError if two manifests share a recording: what is trained on is no test."""
        seen: dict[str, str] = {}
        for manifest in self._files():
            here: set[str] = set()
            for where, row in self._rows(root, manifest):
                recording = _place(root / self._audio_folder(root, manifest) / row["audio"])
                if recording in seen:
                    raise FoldError(f"{where}: the recording {row['audio']} is in {seen[recording]} already")
                here.add(recording)
            seen |= dict.fromkeys(here, manifest)

    def fetch(self, downloads: Path) -> Path:
        lists = ", ".join(self._files())
        raise FoldError(f"{self.name}: there is nothing to download; give ROOT=, the folder of {lists}")

    def recipes(self, split: str, root: Path | None) -> list[Recipe]:
        return [recording for listed in self.subsets(split, root).values() for recording in listed]

    def subsets(self, split: str, root: Path | None) -> dict[str, Sequence[Recipe]]:
        top = folder_of(root)
        return by_subset(split, {name: self._read(top, file) for name, file in self._manifests(split).items()})

    def _manifests(self, split: str) -> dict[str, str]:
        """Return the manifests of a split by subset."""
        given = {"train": self.train, "dev": self.dev, "test": self.test}[split]
        if not given:
            raise FoldError(f"data.corpus.{split} is {given}: expected a list, or lists by names of their own")
        return {split: given} if isinstance(given, str) else given

    def _files(self) -> list[str]:
        return list(dict.fromkeys(file for split in SPLITS for file in self._manifests(split).values()))

    def _read(self, root: Path, name: str) -> list[Recording]:
        listed: dict[str, tuple[str, Recording]] = {}
        heard: dict[Recording, tuple[str, str]] = {}
        folder = self._audio_folder(root, name)
        for where, row in self._rows(root, name):
            recording = _recording(where, row, folder, self.channel)
            if recording.id in listed:
                line = listed[recording.id][0].rpartition(":")[2]
                raise FoldError(f"{where}: the id '{recording.id}' is that of line {line} already")
            _check_there(where, root / recording.file)
            sound = replace(recording, id="", text="", speaker="", file=_place(root / recording.file))
            before, text = heard.setdefault(sound, (where, recording.text))
            if text != recording.text:
                raise FoldError(
                    f"{where}: {row['audio']} is that of line {before.rpartition(':')[2]} already, with another "
                    "text; if these are parts of it, name the columns that tell which, "
                    '--data.corpus.columns="{start: ..., end: ...}"'
                )
            listed[recording.id] = where, recording
        return [recording for _, recording in listed.values()]

    def _rows(self, root: Path, manifest: str) -> Iterator[tuple[str, Row]]:
        """Yield place and values of every line of a list, with the names of the recordings whole."""
        folder = root / self._audio_folder(root, manifest)
        there: dict[str, list[str]] = {}
        for file in folder.rglob(f"*{self.audio_suffix}") if self.audio_suffix else ():
            there.setdefault(file.name, []).append(file.relative_to(folder).as_posix())
        for where, row in read_rows(root / manifest, self.columns):
            audio = row["audio"]
            if audio and not audio.endswith(self.audio_suffix):
                audio += self.audio_suffix
            found = there.get(audio, [audio])
            if len(found) > 1:
                raise FoldError(f"{where}: several recordings are called {audio}: {' and '.join(sorted(found)[:2])}")
            yield where, row | {"audio": found[0]}

    def _audio_folder(self, root: Path, manifest: str) -> Path:
        """Return where paths of audio begin, relative to the root: there themselves, in what Kaldi calls a recipe."""
        if self.audio_folder is not None:
            return Path(self.audio_folder)
        return Path() if is_kaldi(root / manifest) else Path(manifest).parent


def _place(path: Path) -> str:
    """Where a path leads, past all links; it itself if it cannot be followed."""
    try:
        return os.path.realpath(path)
    except ValueError:  # of a NUL in it
        return str(path)


def _check_there(where: str, path: Path) -> None:
    """Raises FoldError unless a path leads to a file."""
    reason = ""
    try:
        if path.is_file():
            return
    except OSError as error:  # such as a transcript where the path should be, or a folder that may not be entered
        reason = f" ({error.strerror})"
    raise FoldError(f"{where}: there is no recording {path}{reason}")


def _recording(where: str, row: Row, folder: Path, otherwise: Channel) -> Recording:
    """Return the recording of a row; `folder`, relative to the root, is where its audio is looked for, `otherwise` the
    channel that is read where the row tells of none."""
    text = " ".join(row["text"].split())
    if not text or not row["audio"]:
        raise FoldError(f"{where}: empty {'audio' if text else 'text'}")
    file, speaker = (folder / row["audio"]).as_posix(), row["speaker"] or "unknown"
    part = [row[key] for key in ("start", "seconds") if row["start"]]
    part += [row[key] for key in ("end", "channel") if row[key]]
    id = id_of(row["id"]) if row["id"] else id_of_file(row["audio"], *part)
    if row["channel"]:
        return ChannelSegment(id, text, speaker, file, *_times(where, row), _channel(where, row, otherwise))
    if not any(row[key] for key in ("start", "seconds", "end")):
        return Recording(id, text, speaker, file)
    return Segment(id, text, speaker, file, *_times(where, row))


def _channel(where: str, row: Row, otherwise: Channel) -> Channel:
    """The channel of a row. Raises FoldError if it is none, or if the corpus is told of another."""
    told = row["channel"]
    number = {"left": 1, "right": 2}.get(told) or (int(told) if told.isdecimal() else 0)
    if told != "mix" and not number:
        raise FoldError(f"{where}: channel is '{told}': expected a number from 1, left, right or mix")
    if otherwise not in ("mix", told, number, {1: "left", 2: "right"}.get(number)):
        raise FoldError(f"{where}: channel is {told}, but data.corpus.channel is {otherwise}: leave one of them out")
    return number or "mix"


def _times(where: str, row: Row) -> tuple[float, float | None]:
    """Where a segment starts, and its length, both in seconds."""
    told = {key: row[key] for key in ("start", "seconds", "end") if row[key]}
    try:
        numbers = {key: float(value) for key, value in told.items()}
    except ValueError:
        raise FoldError(
            f"{where}: {', '.join(f'{key} {value!r}' for key, value in told.items())}: expected numbers"
        ) from None
    start, seconds = numbers.get("start", 0.0), numbers.get("seconds")
    if "end" in numbers:
        until = round(numbers["end"] - start, 6)
        if seconds is not None and not abs(until - seconds) <= TOLERANCE:
            raise FoldError(f"{where}: a segment from {start} s to {numbers['end']} s does not last {seconds} s")
        seconds = until
    if not 0 <= start < math.inf or (seconds is not None and not 0 < seconds < math.inf):
        raise FoldError(f"{where}: a segment cannot start at {start} s and last {seconds} s")
    return start, seconds

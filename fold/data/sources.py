"""What the utterances of a shard were made from: which of them have changed since, and what need not be made again."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from fold.data.corpora.base import Recipe
from fold.data.shards import sidecar_path
from fold.errors import FoldError
from fold.files import write_json

EARLIER_FOLDER = "earlier"
"""In a prepared folder: shards that are being replaced, while they are."""


class FileState(NamedTuple):
    """A file as it was. digest: of its content."""

    num_bytes: int
    modified_ns: int
    digest: str

    @classmethod
    def of(cls, path: Path) -> FileState:
        """The present state of a file, which is read. Raises OSError if it cannot be."""
        state = path.stat()
        return _read_state(path, state.st_size, state.st_mtime_ns)

    def still(self, path: Path) -> FileState | None:
        """The present state if the file has the same content, which is looked at only if it has been touched; else
        None."""
        try:
            state = path.stat()
            if (state.st_size, state.st_mtime_ns) == self[:2]:
                return self
            now = FileState.of(path) if state.st_size == self.num_bytes else None
        except OSError:
            return None
        return now if now and now.digest == self.digest else None


@lru_cache(maxsize=64)
def _read_state(path: Path, num_bytes: int, modified_ns: int) -> FileState:
    """Of a long recording that many utterances are parts of, the content is looked at once."""
    return FileState(num_bytes, modified_ns, digest_of(path))


class Source(NamedTuple):
    """What an utterance was made from. recipe: digest of its recipe; files: those that it was read from."""

    id: str
    recipe: str
    files: tuple[FileState, ...]

    @classmethod
    def of(cls, recipe: Recipe, paths: Sequence[Path]) -> Source:
        """The present state. Raises FoldError if a file cannot be read."""
        try:
            return cls(recipe.id, recipe_digest(recipe), tuple(FileState.of(path) for path in paths))
        except OSError as error:
            raise FoldError(f"{error.filename}: cannot be read ({error.strerror})") from None

    def still(self, recipe: Recipe, paths: Sequence[Path]) -> Source | None:
        """The present state if the utterance would be the same now; else None."""
        if self.recipe != recipe_digest(recipe) or len(paths) != len(self.files):
            return None
        files = [state.still(path) for state, path in zip(self.files, paths, strict=True)]
        known = tuple(state for state in files if state)
        return self._replace(files=known) if len(known) == len(files) else None


def recipe_digest(recipe: Recipe) -> str:
    """Return what tells a recipe from others."""
    return hashlib.sha256(json.dumps(asdict(recipe), sort_keys=True).encode()).hexdigest()[:16]


def digest_of(path: Path) -> str:
    """Return what tells the content of a file from others."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def sources_path(shard: Path) -> Path:
    """Return the file that tells what a shard was made from."""
    return shard.with_suffix(".sources.json")


def write_sources(shard: Path, sources: Iterable[Source]) -> None:
    """Write what the utterances of a shard were made from, in their order."""
    write_json(sources_path(shard), list(sources))


def read_sources(shard: Path) -> list[Source] | None:
    """Return what the utterances of a shard were made from; None if nothing tells, as in earlier versions."""
    try:
        listed = json.loads(sources_path(shard).read_bytes())
        return [Source(id, recipe, tuple(FileState(*file) for file in files)) for id, recipe, files in listed]
    except (OSError, ValueError, TypeError):
        return None


class Wanted(NamedTuple):
    """An utterance of a shard, as it is to be: its recipe, and the files to read."""

    recipe: Recipe
    paths: tuple[Path, ...]


class Comparison(NamedTuple):
    """A prepared folder and what it should hold. changes: what differs, by name; fresh: shards that are as they should
    be; unknown: complete shards of which nothing tells what they were made from; same, stored: utterances."""

    changes: list[str]
    fresh: set[Path]
    unknown: set[Path]
    same: int
    stored: int


def compare(folder: Path, wanted: Mapping[Path, Sequence[Wanted]]) -> Comparison:
    """Compare the shards of a folder with the utterances that each of them should hold, by its path."""
    complete = [path for path in folder.glob("*.tar") if sidecar_path(path).exists()]
    told = {path: read_sources(path) for path in complete}
    stored = {(_split(path), source.id): source for path, sources in told.items() for source in sources or ()}
    changes, same, fresh = [], 0, set()
    gone = dict(stored)
    for path, utterances in wanted.items():
        now = []
        for recipe, paths in utterances:
            before = gone.pop((_split(path), recipe.id), None)
            still = before and before.still(recipe, paths)
            now.append(still)
            if not still:
                changes.append(_change(before, recipe, paths))
        same += sum(still is not None for still in now)
        held = told.get(path) or []
        if [still and still[:2] for still in now] == [source[:2] for source in held]:
            fresh.add(path)
            _refresh(path, held, [still for still in now if still])
    changes += [f"{id}: no longer listed" for _, id in gone]
    return Comparison(changes, fresh, {path for path in complete if told[path] is None}, same, len(stored))


def _split(shard: Path) -> str:
    return shard.stem.rsplit("-", 1)[0]


def _change(before: Source | None, recipe: Recipe, paths: Sequence[Path]) -> str:
    if before is None:
        return f"{recipe.id}: new"
    if before.recipe != recipe_digest(recipe):
        return f"{recipe.id}: its transcript, speaker or file is another"
    return f"{recipe.id}: its recording has changed ({', '.join(path.name for path in paths[:2])})"


def _refresh(shard: Path, before: Sequence[Source], now: Sequence[Source]) -> None:
    """Keep how files look that were touched but are the same, so that they need not be read again."""
    if list(before) != list(now):
        with suppress(OSError):  # of a folder that cannot be written
            write_sources(shard, now)


class Earlier(NamedTuple):
    """An utterance of a shard that is being replaced. row: of its sidecar."""

    source: Source
    shard: Path
    row: int


def set_aside(folder: Path, shards: Iterable[Path]) -> None:
    """Move shards that are to be replaced out of the way, so that what has not changed can be taken from them."""
    aside = folder / EARLIER_FOLDER
    for shard in shards:
        aside.mkdir(exist_ok=True)
        for path in (sidecar_path(shard), sources_path(shard), shard):  # the tar last: it is nothing without them
            if path.exists():
                path.replace(aside / path.name)


def earlier(folder: Path) -> dict[tuple[str, str], Earlier]:
    """Return what was set aside, by id and digest of the recipe; also what an interrupted preparation left."""
    found = {}
    for shard in (folder / EARLIER_FOLDER).glob("*.tar"):
        if sidecar_path(shard).exists():
            for row, source in enumerate(read_sources(shard) or ()):
                found[source.id, source.recipe] = Earlier(source, shard, row)
    return found


def forget_earlier(folder: Path) -> None:
    """Delete what was set aside."""
    shutil.rmtree(folder / EARLIER_FOLDER, ignore_errors=True)

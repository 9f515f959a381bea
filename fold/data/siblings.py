"""Shards that another prepared folder has already: other units, or another list of one split, change only some."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fold.data.corpora.base import Corpus
from fold.data.index import INDEX_FILE, Index, read_index
from fold.data.render import ShardJob
from fold.data.shards import is_there, sidecar_path
from fold.data.sources import Source, read_sources, recipe_digest, sources_path
from fold.errors import FoldError
from fold.files import replacing

Contents = tuple[tuple[str, str], ...]
"""What tells a shard from others: ids and digests of its recipes."""


def adopt(jobs: Sequence[ShardJob], folder: Path, corpus: Corpus, settings: Mapping[str, Any], file: str) -> None:
    """Take the shards of jobs that a folder beside `folder` holds, made alike from recordings that are the same still;
    they are links, where the file system has such. What is taken is told.

    Args:
        jobs: those without a shard are looked at.
        folder: that is being prepared.
        corpus: of the jobs.
        settings: that describe the folder.
        file: of each folder, in which such settings are.
    """
    missing = [job for job in jobs if not sidecar_path(job.path).exists()]
    for sibling in sorted(path.parent for path in folder.parent.glob(f"*/{INDEX_FILE}") if path.parent != folder):
        index = _index(sibling)
        if not missing or index is None or _made_like(sibling / file, corpus) != _made(settings, corpus):
            continue
        there = _shards(sibling, index)
        taken = [job for job in missing if _take(job, there, sibling, index)]
        missing = [job for job in missing if job not in taken]
        if taken:
            print(f"{folder}: {len(taken)} of {len(jobs)} shards are those of {sibling}")


def _made(settings: Mapping[str, Any], corpus: Corpus) -> dict[str, Any]:
    """Of the settings of a folder, those that decide what becomes of a recipe."""
    described = settings["corpus"]
    of_corpus = {name: value for name, value in described["settings"].items() if name not in corpus.listing}
    return {"class": described["class"], **{key: settings[key] for key in ("format", "sample_rate")}, **of_corpus}


def _made_like(description: Path, corpus: Corpus) -> dict[str, Any] | None:
    try:
        return _made(json.loads(description.read_bytes()), corpus)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _index(folder: Path) -> Index | None:
    """The index of a folder; None if it is damaged, or none now."""
    try:
        return read_index(folder)
    except (FoldError, OSError):
        return None


def _shards(folder: Path, index: Index) -> dict[Contents, tuple[Path, list[Source]]]:
    """The whole shards of a folder that tell what they were made from."""
    found = {}
    for shard in (shard for split in index.splits.values() for shard in split.shards):
        path = folder / shard.file
        sources = read_sources(path) if is_there(path, shard) else None
        if sources:
            found[tuple((source.id, source.recipe) for source in sources)] = path, sources
    return found


def _take(job: ShardJob, there: Mapping[Contents, tuple[Path, list[Source]]], folder: Path, index: Index) -> bool:
    """Take a job's shard out of a folder, if it is there. Nobody is kept from writing there meanwhile: an index that is
    the same before and after tells that nobody did."""
    path, sources = there.get(tuple((recipe.id, recipe_digest(recipe)) for recipe in job.written), (None, []))
    if path is None or not all(source.still(*wanted) for source, wanted in zip(sources, job.wanted(), strict=True)):
        return False
    for of in (lambda shard: shard, sources_path):
        _link(of(path), of(job.path))
    if _index(folder) != index:
        return False
    _link(sidecar_path(path), sidecar_path(job.path))  # the last: with it the shard is there
    return True


def _link(path: Path, to: Path) -> None:
    to.unlink(missing_ok=True)
    try:
        os.link(path, to)
    except OSError:  # not all file systems have links
        with replacing(to) as stream, path.open("rb") as content:
            shutil.copyfileobj(content, stream)

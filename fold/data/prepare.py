"""A corpus to a prepared folder: what it holds is described and checked, and its shards are written once."""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from fold.data.corpora.base import SPLITS, Corpus, Recipe
from fold.data.index import INDEX_FILE, Index, Shard, read_index, write_index
from fold.data.render import Outcome, ShardJob, render, shard_jobs, splits
from fold.data.review import keep_apart, overlaps, transcripts_checked
from fold.data.shards import is_there, sidecar_path
from fold.data.siblings import adopt
from fold.data.sources import compare, earlier, forget_earlier, recipe_digest, set_aside
from fold.errors import FoldError
from fold.files import LOCK_FILE, PART_SUFFIX, locked, write_json
from fold.text.normalise import Normaliser
from fold.text.units import UnitsConfig, train_units

LAYOUT = 2
"""Of the shards; a new one gives every prepared folder another name."""
Subsets = dict[str, Sequence[Recipe]]
DESCRIPTION_FILE = "description.json"
REFUSED_FILE = "refused.txt"
DOWNLOADS_FOLDER = "downloads"
"""Beside the prepared folders: what was fetched is kept and shared by all settings."""
SHOWN, LISTED = 3, 10  # names in a message, and in lines of their own


def prepared_name(corpus: Corpus, sample_rate: int, units: UnitsConfig, text: Normaliser = Normaliser()) -> str:
    """Return the name of the prepared folder for these settings; other settings get another name."""
    description = json.dumps(_describe(corpus, sample_rate, units, text), sort_keys=True)
    return f"{corpus.name.lower()}-{hashlib.sha256(description.encode()).hexdigest()[:8]}"


def prepare(
    corpus: Corpus,
    folder: Path,
    *,
    root: Path | None,
    sample_rate: int,
    units: UnitsConfig,
    text: Normaliser = Normaliser(),
    num_workers: int | None = None,
) -> Index:
    """Write a corpus as shards into `folder`; a folder already finished is returned at once.

    May be interrupted at any moment: the next call reuses the finished shards. Where recordings or transcripts have
    changed since, only they are prepared anew. Of two calls at once, the second waits for the first. The bytes do not
    depend on `num_workers`.

    Args:
        corpus: what to prepare.
        folder: where to; see `prepared_folder`.
        root: where the recordings lie; None downloads or synthesises them.
        sample_rate: of the shards, in Hz.
        units: output units to train on the training transcripts.
        text: how transcripts are written.
        num_workers: processes; None takes the cores this process may use.

    Raises:
        FoldError: the folder holds something else, the root is wrong, two splits share a recording, or a recording or
            transcript cannot be used; or the user interrupted.
    """
    can_be_written = _can_be_written(folder)
    if not can_be_written and not (folder / INDEX_FILE).exists():
        raise FoldError(f"{folder}: no shards are there, and none can be written there: set data.shards")
    with locked(folder) if can_be_written else nullcontext():
        settings = _describe(corpus, sample_rate, units, text)
        held = _read_description(folder)
        _check_same(folder, held, settings)
        finished = (folder / INDEX_FILE).exists() and _whole(folder)
        if finished and root is None and not corpus.in_place:
            return read_index(folder)

        root = corpus.locate(root, folder.parent / DOWNLOADS_FOLDER)
        recipes = {split: _checked(corpus, split, corpus.subsets(split, root)) for split in SPLITS}
        keep_apart(corpus, recipes, root)
        written = _rewritten(recipes, text)
        settings["recipes"] = _digest(written)
        jobs = shard_jobs(corpus, folder, root, sample_rate, recipes, written)
        before = _digest(_rewritten(recipes, lambda text: " ".join(text.lower().split())))  # of earlier versions
        known = (settings["recipes"], before) if finished else (settings["recipes"],)
        stale = _stale(folder, jobs, finished, trusted=held is not None and held.get("recipes") in known)
        if stale is None:
            return read_index(folder)
        if not can_be_written:
            raise FoldError(f"{folder} holds other recordings or transcripts, and cannot be written: set data.shards")

        notes = transcripts_checked(corpus, recipes, written, text)
        trained = train_units(units, [recipe.text for listed in written["train"].values() for recipe in listed], text)
        (folder / INDEX_FILE).unlink(missing_ok=True)
        set_aside(folder, stale)
        jobs = _with_earlier(folder, jobs)
        write_json(folder / DESCRIPTION_FILE, settings)
        for leftover in folder.glob(f"*{PART_SUFFIX}"):
            leftover.unlink()
        if not finished and not corpus.in_place:
            adopt(jobs, folder, corpus, settings, DESCRIPTION_FILE)
        outcomes = render(jobs, corpus.name, num_workers)
        index = Index(settings["corpus"], sample_rate, trained.to_dict(), splits(jobs, _all(folder, outcomes)))
        write_index(folder, index)
        forget_earlier(folder)
        notes += overlaps(written, [job.path for job in jobs])
    notices = [notice for outcome in outcomes for notice in outcome.notices]
    print("\n".join([_summary(folder, index), *(f"  {note}" for note in notes), *_some(notices)]))
    return index


def _can_be_written(folder: Path) -> bool:
    """Whether shards can be written in a folder, which need not be there yet. What others have prepared, and keep from
    being written, can be trained from."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return os.access(there, os.W_OK)


def _whole(folder: Path) -> bool:
    """Whether the shards that the index lists are there. Those that are not are named, and can be written again."""
    shards = [shard for split in read_index(folder).splits.values() for shard in split.shards]
    damaged = [folder / shard.file for shard in shards if not is_there(folder / shard.file, shard)]
    for path in damaged:
        sidecar_path(path).unlink(missing_ok=True)
    if damaged:
        print(
            f"{folder}: prepared anew, as they are missing or cut short: {', '.join(p.name for p in damaged[:SHOWN])}"
        )
        (folder / INDEX_FILE).unlink()
    return not damaged


def _stale(folder: Path, jobs: Sequence[ShardJob], finished: bool, trusted: bool) -> list[Path] | None:
    """The shards of a folder that are not what they should be, what has changed being named; None if it is up to date.

    trusted: whether shards that do not tell what they were made from, as in earlier versions, are taken as they are.
    Raises FoldError if the folder holds other recordings altogether.
    """
    found = compare(folder, {job.path: job.wanted() for job in jobs})
    fresh = found.fresh | (found.unknown if trusted else set())
    stale = sorted(path for path in folder.glob("*.tar") if path not in fresh)
    if not finished:
        return stale
    if not stale and all(job.path in fresh for job in jobs):
        return None
    if not found.stored:
        raise _other_recordings(folder, "their list or their transcripts differ")
    total = sum(len(job.recipes) for job in jobs)
    if found.same < min(total, found.stored) / 2:
        raise _other_recordings(folder, f"only {found.same} of {total} utterances are the same")
    print(f"{folder}: changes since it was prepared: {len(found.changes)}; only they are prepared anew")
    print("\n".join(_some(found.changes)))
    return stale


def _other_recordings(folder: Path, why: str) -> FoldError:
    return FoldError(
        f"{folder} was prepared from other recordings ({why}); delete it, or give these a folder of their own "
        "(data.shards)"
    )


def _with_earlier(folder: Path, jobs: Sequence[ShardJob]) -> list[ShardJob]:
    """The jobs, each with what it need not make again."""
    pool = earlier(folder)
    keys = [[(recipe.id, recipe_digest(recipe)) for recipe in job.written] for job in jobs] if pool else []
    return [
        replace(job, earlier={key: pool[key] for key in of_job if key in pool})
        for job, of_job in zip(jobs, keys or [[] for _ in jobs], strict=True)
    ]


def _all(folder: Path, outcomes: Sequence[Outcome]) -> list[Shard]:
    """The shards. Raises FoldError if recordings were refused, which are listed in a file of the folder."""
    refused = [line for outcome in outcomes for line in outcome.refused]
    if refused:
        file = folder / REFUSED_FILE
        file.write_text("".join(f"{line}\n" for line in refused), encoding="utf-8")
        more = f"; and {len(refused) - SHOWN} more, all of them in {file}" if len(refused) > SHOWN else ""
        raise FoldError(f"{len(refused)} recordings cannot be used: {'; '.join(refused[:SHOWN])}{more}")
    (folder / REFUSED_FILE).unlink(missing_ok=True)
    return [outcome.shard for outcome in outcomes if outcome.shard]


def _some(lines: Sequence[str]) -> list[str]:
    """The first lines of many, to be printed below others."""
    more = [f"  and {len(lines) - LISTED} more"] if len(lines) > LISTED else []
    return [*(f"  {line}" for line in lines[:LISTED]), *more]


def _rewritten(recipes: dict[str, Subsets], text: Callable[[str], str]) -> dict[str, Subsets]:
    """The recipes with their transcripts written in some way."""
    return {
        split: {name: [replace(r, text=text(r.text)) for r in listed] for name, listed in subsets.items()}
        for split, subsets in recipes.items()
    }


def _describe(corpus: Corpus, sample_rate: int, units: UnitsConfig, text: Normaliser) -> dict[str, Any]:
    described = {
        "format": LAYOUT,
        "corpus": corpus.describe(),
        "sample_rate": sample_rate,
        "units": asdict(units),
    }
    # Shards exist that were written when there was no such setting.
    return described if text == Normaliser() else {**described, "text": text.to_dict()}


def _read_description(folder: Path) -> dict[str, Any] | None:
    try:
        held: dict[str, Any] = json.loads((folder / DESCRIPTION_FILE).read_bytes())
        return held
    except FileNotFoundError:
        own = (LOCK_FILE, DESCRIPTION_FILE + PART_SUFFIX)
        foreign = [path.name for path in folder.iterdir() if path.name not in own]
        if foreign:
            raise FoldError(f"{folder} is not empty ({foreign[0]}) and holds no prepared corpus") from None
        return None
    except ValueError as error:
        raise FoldError(f"{folder / DESCRIPTION_FILE} is damaged ({error}); delete {folder}") from error


def _check_same(folder: Path, held: dict[str, Any] | None, wanted: dict[str, Any]) -> None:
    if held is None:
        return
    for key, value in wanted.items():
        if held.get(key) != value:
            found = json.dumps(held.get(key))
            raise FoldError(f"{folder} was prepared with {key} {found}, not {json.dumps(value)}; delete it")


def _checked(corpus: Corpus, split: str, subsets: Subsets) -> Subsets:
    for name, recipes in subsets.items() or [(split, ())]:
        if not recipes:
            where = f"the split '{split}'" if name == split else f"the subset '{name}' of the split '{split}'"
            raise FoldError(f"{corpus.name}: {where} has no utterances; check the corpus settings")
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise FoldError(f"{corpus.name}: the name of the subset '{name}' may hold letters, digits, - _ and . only")
    ids = Counter(recipe.id for recipes in subsets.values() for recipe in recipes)
    id, times = ids.most_common(1)[0]
    if times > 1:
        raise FoldError(f"{corpus.name}: two utterances of the split '{split}' have the same id, '{id}'")
    return subsets


def _digest(recipes: dict[str, Subsets]) -> str:
    digest = hashlib.sha256()
    for subsets in recipes.values():
        for name, listed in subsets.items():
            for recipe in listed:
                digest.update(json.dumps([name, asdict(recipe)], sort_keys=True).encode())
    return digest.hexdigest()


def _summary(folder: Path, index: Index) -> str:
    lines = [
        f"  {name}: {split.utterances} utterances, {split.seconds / 3600:.2f} h in {len(split.shards)} shards"
        + (f" ({', '.join(split.subsets)})" if len(split.subsets) > 1 else "")
        for name, split in index.splits.items()
    ]
    return "\n".join([f"prepared {folder}", *lines])

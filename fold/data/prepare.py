"""A corpus to a prepared folder: what it holds is described and checked, and its shards are written once."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fold.data.corpora.base import SPLITS, Corpus, Recipe
from fold.data.index import INDEX_FILE, Index, read_index, write_index
from fold.data.render import render, shard_jobs
from fold.errors import FoldError
from fold.files import LOCK_FILE, PART_SUFFIX, locked, write_json
from fold.text.units import UnitsConfig, train_units

LAYOUT = 2
"""Of the shards; a new one gives every prepared folder another name."""
Subsets = dict[str, Sequence[Recipe]]
DESCRIPTION_FILE = "description.json"
DOWNLOADS_FOLDER = "downloads"
"""Beside the prepared folders: what was fetched is kept and shared by all settings."""


def prepared_name(corpus: Corpus, sample_rate: int, units: UnitsConfig) -> str:
    """Return the name of the prepared folder for these settings; other settings get another name."""
    description = json.dumps(_describe(corpus, sample_rate, units), sort_keys=True)
    return f"{corpus.name.lower()}-{hashlib.sha256(description.encode()).hexdigest()[:8]}"


def prepare(
    corpus: Corpus,
    folder: Path,
    *,
    root: Path | None,
    sample_rate: int,
    units: UnitsConfig,
    num_workers: int | None = None,
) -> Index:
    """Write a corpus as shards into `folder`; a folder already finished is returned at once.

    May be interrupted at any moment: the next call reuses the finished shards. Of two calls at
    once, the second waits for the first. The bytes do not depend on `num_workers`.

    Args:
        corpus: what to prepare.
        folder: where to; see `prepared_folder`.
        root: where the recordings lie; None downloads or synthesises them.
        sample_rate: of the shards, in Hz.
        units: output units to train on the training transcripts.
        num_workers: processes; None takes the cores this process may use.

    Raises:
        FoldError: the folder holds something else, the root is wrong, or a recording is bad; or the user
            interrupted.
    """
    with locked(folder):
        settings = _describe(corpus, sample_rate, units)
        held = _read_description(folder)
        _check_same(folder, held, settings)
        finished = (folder / INDEX_FILE).exists()
        if finished and root is None:
            return read_index(folder)

        root = corpus.locate(root, folder.parent / DOWNLOADS_FOLDER)
        recipes = {split: _checked(corpus, split, corpus.subsets(split, root)) for split in SPLITS}
        # The settings do not say which recordings the root held; the recipes do.
        settings["recipes"] = _digest(recipes)
        _check_same(folder, held, settings)
        if finished:
            return read_index(folder)

        trained = train_units(units, [recipe.text for listed in recipes["train"].values() for recipe in listed])
        write_json(folder / DESCRIPTION_FILE, settings)
        for leftover in folder.glob(f"*{PART_SUFFIX}"):
            leftover.unlink()
        splits = render(shard_jobs(corpus, folder, root, sample_rate, recipes), corpus.name, num_workers)
        index = Index(settings["corpus"], sample_rate, trained.to_dict(), splits)
        write_index(folder, index)
    print(_summary(folder, index))
    return index


def _describe(corpus: Corpus, sample_rate: int, units: UnitsConfig) -> dict[str, Any]:
    return {
        "format": LAYOUT,
        "corpus": corpus.describe(),
        "sample_rate": sample_rate,
        "units": asdict(units),
    }


def _read_description(folder: Path) -> dict[str, Any] | None:
    try:
        return json.loads((folder / DESCRIPTION_FILE).read_bytes())
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

"""What a corpus is looked at for before and after it is prepared: transcripts, and splits that share something."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from fold.data.corpora.base import SPLITS, Corpus, Recipe
from fold.data.sources import read_sources
from fold.errors import FoldError
from fold.text.normalise import Normaliser

Recipes = Mapping[str, Mapping[str, Sequence[Recipe]]]
"""By split and subset."""
SHOWN = 12  # characters


def keep_apart(corpus: Corpus, recipes: Recipes, root: Path | None) -> None:
    """Raises FoldError if two splits share a recording, under whatever name: what is trained on is no test."""
    seen: dict[tuple[int, int], str] = {}
    for split, listed in _by_split(recipes).items():
        here: dict[tuple[int, int], str] = {}
        for path in {path for recipe in listed for path in corpus.sources(recipe, root)}:
            try:
                state = path.stat()
            except OSError:
                continue  # named when it is read
            file = (state.st_dev, state.st_ino)
            if file in seen:
                raise FoldError(
                    f"{corpus.name}: the recording {path} is in the splits '{seen[file]}' and '{split}'; what is "
                    "trained or tuned on is no test: give each split recordings of its own"
                )
            here[file] = split
        seen |= here


def transcripts_checked(corpus: Corpus, recipes: Recipes, written: Recipes, text: Normaliser) -> list[str]:
    """Return what is to be told of the transcripts: what of them is dropped, and whether they hold digits.

    written: the recipes with transcripts as `text` writes them.

    Raises:
        FoldError: nothing is left of a transcript, or it holds digits and shall not.
    """
    dropped: Counter[str] = Counter()
    with_digits = []
    both = zip(_by_split(recipes).values(), _by_split(written).values(), strict=True)
    for recipe, after in (pair for splits in both for pair in zip(*splits, strict=True)):
        dropped.update(text.dropped(recipe.text))
        if not after.text and not corpus.in_place:  # which nobody can take off a list: counted when it is read
            raise FoldError(f"{corpus.name}: nothing is left of the transcript of '{recipe.id}', {recipe.text!r}")
        if any(character in "0123456789" for character in after.text):
            with_digits.append(recipe)
    if with_digits and text.digits == "refuse":
        first = with_digits[0]
        raise FoldError(
            f"{corpus.name}: {len(with_digits)} transcripts hold digits, such as that of '{first.id}', {first.text!r}; "
            "write them as they are spoken (or set text.digits to keep)"
        )
    notes = []
    if dropped:
        most = ", ".join(f"{number:,} x {_shown(character)}" for character, number in dropped.most_common(SHOWN))
        more = f" and {len(dropped) - SHOWN} more" if len(dropped) > SHOWN else ""
        notes.append(f"dropped from the transcripts: {most}{more}")
    if with_digits:
        notes.append(f"transcripts with digits, which are not how words are spoken: {len(with_digits):,}")
    return notes


def _shown(character: str) -> str:
    name = unicodedata.name(character, "")
    if character.isprintable() and not unicodedata.combining(character):
        return character
    return f"U+{ord(character):04X}{f' ({name.lower()})' if name else ''}"


def overlaps(recipes: Recipes, shards: Sequence[Path]) -> list[str]:
    """Return what is to be told of the splits: copies of a recording, transcripts and speakers that train has too."""
    by_split = _by_split(recipes)
    notes = []
    for split in SPLITS[1:]:
        shared = []
        copies = _digests(shards, split) & _digests(shards, "train")
        if copies:
            shared.append(f"{len(copies)} recordings (copies of the same file)")
        for name, of in (("transcripts", _text), ("speakers", _speaker)):
            known, own = {of(r) for r in by_split["train"]}, {of(r) for r in by_split[split]} - {"unknown"}
            if own & known:
                shared.append(f"{len(own & known):,} of {len(own):,} {name}")
        if shared:
            notes.append(f"{split} shares with train: {', '.join(shared)}")
    return notes


def _by_split(recipes: Recipes) -> dict[str, list[Recipe]]:
    return {split: [recipe for listed in subsets.values() for recipe in listed] for split, subsets in recipes.items()}


def _text(recipe: Recipe) -> str:
    return recipe.text


def _speaker(recipe: Recipe) -> str:
    return recipe.speaker


def _digests(shards: Sequence[Path], split: str) -> set[str]:
    """Of the files that a split was made from."""
    sources = [source for shard in shards if shard.name.startswith(f"{split}-") for source in read_sources(shard) or ()]
    return {file.digest for source in sources for file in source.files}

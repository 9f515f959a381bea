"""What a corpus is looked at for before and after it is prepared: transcripts, and splits that share something."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from fold.data.corpora.base import SPLITS, Corpus, Recipe
from fold.data.corpora.in_place import InPlace
from fold.data.sources import read_sources
from fold.errors import FoldError
from fold.text.normalise import Normaliser, tags_of

Recipes = Mapping[str, Mapping[str, Sequence[Recipe]]]
"""By split and subset."""
SHOWN = 12  # characters, or tags
TELLING = "ıİ"  # letters of languages in which I is not the capital of i
TURKISH = (
    "set --data.text.language=tr (or az), where I is the capital of ı; if it is another, give its code, such as en"  # noqa: RUF001
)


def keep_apart(corpus: Corpus, recipes: Recipes, root: Path | None) -> None:
    """Raises FoldError if two splits share a recording or a tar, under whatever name: what is trained on is no test."""
    _keep_tars_apart(corpus, recipes)
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


def _keep_tars_apart(corpus: Corpus, recipes: Recipes) -> None:
    """Raises FoldError if a tar of one split is a copy of a tar of another."""
    seen: dict[str, tuple[str, str]] = {}
    for split, listed in _by_split(recipes).items():
        here = {recipe.place_sha256: (split, recipe.place) for recipe in listed if isinstance(recipe, InPlace)}
        for digest in seen.keys() & here.keys():
            other, place = seen[digest]
            raise FoldError(
                f"{corpus.name}: {here[digest][1]} of the split '{split}' is a copy of {place} of '{other}'; what is "
                "trained or tuned on is no test: give each split shards of its own"
            )
        seen |= here


def transcripts_checked(corpus: Corpus, recipes: Recipes, written: Recipes, text: Normaliser) -> list[str]:
    """Return what is to be told of the transcripts: what of them is dropped, and whether they hold digits or tags.

    written: the recipes with transcripts as `text` writes them.

    Raises:
        FoldError: nothing is left of a transcript, it holds digits or tags and shall not, or it has letters of Turkish
            and no language is set.
    """
    dropped: Counter[str] = Counter()
    tags: Counter[str] = Counter()
    with_digits, with_tags, with_dots = [], [], []
    both = zip(_by_split(recipes).values(), _by_split(written).values(), strict=True)
    for recipe, after in (pair for splits in both for pair in zip(*splits, strict=True)):
        dropped.update(text.dropped(recipe.text))
        if not after.text and not corpus.in_place:  # which nobody can take off a list: counted when it is read
            raise FoldError(f"{corpus.name}: nothing is left of the transcript of '{recipe.id}', {recipe.text!r}")
        if any(c in "0123456789" for c in after.text) or any(unicodedata.category(c) == "No" for c in recipe.text):
            with_digits.append(recipe)
        if found := tags_of(recipe.text):
            tags.update(found)
            with_tags.append(recipe)
        if any(letter in recipe.text for letter in TELLING):
            with_dots.append(recipe)
    if with_dots and text.case == "lower" and not text.language:
        raise _refused(corpus, with_dots, "ı or İ", TURKISH)  # noqa: RUF001
    if with_digits and text.digits == "refuse":
        raise _refused(corpus, with_digits, "digits", "write them as they are spoken (or set text.digits to keep)")
    if with_tags and text.tags == "refuse":
        raise _refused(corpus, with_tags, "tags", "set text.tags to drop, or to keep for the words in them")
    notes = []
    if dropped:
        notes.append(f"dropped from the transcripts: {_most(dropped)}")
    if with_digits:
        notes.append(f"transcripts with digits, which are not how words are spoken: {len(with_digits):,}")
    if tags:
        what = "left out" if text.tags == "drop" else "whose words are kept (data.text.tags=drop leaves them out)"
        notes.append(f"in brackets in the transcripts, {what}: {_most(tags)}")
    return notes


def _refused(corpus: Corpus, recipes: Sequence[Recipe], what: str, right: str) -> FoldError:
    """The refusal of transcripts that hold what they shall not."""
    first = recipes[0]
    return FoldError(
        f"{corpus.name}: {len(recipes)} transcripts hold {what}, such as that of '{first.id}', {first.text!r}; {right}"
    )


def _most(counted: Counter[str]) -> str:
    most = ", ".join(f"{number:,} x {_shown(each)}" for each, number in counted.most_common(SHOWN))
    return most + (f" and {len(counted) - SHOWN} more" if len(counted) > SHOWN else "")


def _shown(character: str) -> str:
    if len(character) > 1:  # a tag
        return character
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

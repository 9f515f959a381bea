"""What a corpus is: an ordered list of recipes per split, and a way to render each into an utterance."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from fold.errors import FoldError
from fold.files import locked

SPLITS = ("train", "dev", "test")
MAX_ID_BYTES = 95
"""A tar's member names have 100 bytes; `.flac` and `.json` take 5."""


@dataclass(frozen=True)
class Recipe:
    """How to make one utterance; small and picklable, so that it can be sent to another process.

    Attributes:
        id: unique within the corpus; letters, digits, `-` and `_` only, at most 95 bytes (it becomes a file
            name in a shard).
        text: transcript, as somebody wrote it.
        speaker: name of the speaker or synthetic voice.
    """

    id: str
    text: str
    speaker: str


@dataclass(frozen=True)
class Utterance:
    """One rendered utterance.

    Attributes:
        samples: mono float32 waveform in [-1, 1], shape (samples,).
        sample_rate: samples per second.
        notices: what is wrong with its recordings, though they can be used.
    """

    id: str
    text: str
    speaker: str
    samples: np.ndarray
    sample_rate: int
    notices: tuple[str, ...] = ()


class Corpus(ABC):
    """A corpus: a dataclass whose fields are its settings.

    A new corpus is one class: list its recipes, render one of them, and say what its folder looks like.
    Recipes come in a fixed order that mixes speakers, because training reads neighbours together.
    """

    in_place: ClassVar[bool] = False
    """Whether its recordings stay where they are, in shards of somebody else's; its recipes are then `InPlace`."""
    listing: ClassVar[tuple[str, ...]] = ()
    """Settings that only choose what is listed: how a recipe is rendered does not depend on them."""
    added: ClassVar[tuple[str, ...]] = ()
    """Settings younger than corpora that are prepared: these stay good as long as the settings have their defaults."""
    layout: ClassVar[str] = ""
    """The folder layout this corpus reads, for the message about a missing or wrong root."""

    def rooted(self, root: str | None) -> tuple["Corpus", Path | None]:
        """Return the corpus as it is at a root, and the folder to read: None where its settings tell it now."""
        return self, Path(root) if root else None

    def locate(self, root: Path | None, downloads: Path) -> Path | None:
        """Return the folder to read: `root` when given, otherwise one fetched into `downloads`.

        Raises:
            FoldError: `root` does not hold this corpus, or the download failed.
        """
        if root is None:
            with locked(downloads):
                return self.fetch(downloads)
        if not root.is_dir():
            raise FoldError(f"{self.name}: no folder {root}{self.layout and f'; expected {self.layout}'}")
        return root

    @abstractmethod
    def fetch(self, downloads: Path) -> Path | None:
        """Download what is missing into `downloads` and return the folder to read (None: needs none)."""

    @abstractmethod
    def recipes(self, split: str, root: Path | None) -> Sequence[Recipe]:
        """List the recipes of a split (train, dev or test), in an order fixed by the settings."""

    def subsets(self, split: str, root: Path | None) -> dict[str, Sequence[Recipe]]:
        """List the recipes of a split by the subsets that are evaluated apart: one, named as the split, by default."""
        return {split: self.recipes(split, root)}

    @abstractmethod
    def render(self, recipe: Recipe, root: Path | None) -> Utterance:
        """Make the utterance of a recipe: the same samples whatever was rendered before.

        Raises:
            FoldError: a recording is missing or is no audio; the message names the file.
        """

    def sample_sentences(self, number: int) -> list[str]:
        """Return sentences that one may say to a model of this corpus; none where only its recordings know them."""
        return []

    def sources(self, recipe: Recipe, root: Path | None) -> tuple[Path, ...]:
        """Return the files that an utterance is made from: none where it is synthesised."""
        return ()

    @property
    def name(self) -> str:
        return type(self).__name__

    def describe(self) -> dict[str, Any]:
        """Return class and settings as plain JSON values, without the `added` ones that have their defaults."""
        assert is_dataclass(self)
        as_before = {field.name: field.default for field in fields(self) if field.name in self.added}
        settings = {name: value for name, value in asdict(self).items() if (name, value) not in as_before.items()}
        if "random_seed" in settings:  # so called since shards exist that their settings name by `seed`
            settings["seed"] = settings.pop("random_seed")
        # Through JSON, so that a tuple compares equal to the list it is read back as.
        described: dict[str, Any] = json.loads(json.dumps({"class": self.name, "settings": settings}))
        return described


def is_valid_id(id: str) -> bool:
    """Return whether an id can name an utterance in a shard: a member of a tar, its suffix after the only dot."""
    return id.replace("-", "").replace("_", "").isalnum() and len(id.encode()) <= MAX_ID_BYTES


def generator(*key: int | str) -> np.random.Generator:
    """Return a random generator that depends only on `key` (a seed, a split, an index ...)."""
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))


def shuffled(recipes: Sequence[Recipe], *key: int | str) -> list[Recipe]:
    """Return the recipes in a random order that depends only on `key`."""
    return [recipes[i] for i in generator("order", *key).permutation(len(recipes))]


def by_subset(split: str, listed: Mapping[str, Sequence[Recipe]]) -> dict[str, Sequence[Recipe]]:
    """Return the recipes of each subset in a random order of their own; training mixes all its subsets into one."""
    if split == "train":
        listed = {split: [recipe for recipes in listed.values() for recipe in recipes]}
    return {subset: shuffled(recipes, split) for subset, recipes in listed.items()}

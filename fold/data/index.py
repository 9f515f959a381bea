"""The index of a prepared corpus: its splits, their shards, and how long their utterances are."""

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fold.errors import FoldError
from fold.files import write_json

FORMAT = 3
READABLE = (2, FORMAT)  # 2 knew no subsets: each split is one, of its own name
INDEX_FILE = "index.json"


@dataclass(frozen=True)
class Shard:
    """One tar file of a split; `bytes` and `sha256` are the tar's; `subset` is that of all its utterances.

    `audio`, `audio_bytes` and `audio_sha256` are path (or URL), size and checksum of the tar of somebody else's in
    which its recordings lie, if they do.
    """

    file: str
    utterances: int
    seconds: float
    bytes: int
    sha256: str
    sidecar_bytes: int
    sidecar_sha256: str
    subset: str = ""
    audio: str = ""
    audio_bytes: int = 0
    audio_sha256: str = ""


@dataclass(frozen=True)
class Split:
    """One split: its shards, and how long its utterances are.

    Attributes:
        durations: utterances by whole seconds, `{3: (n, s)}` for n utterances of 3 to 4 seconds, s seconds in all.
    """

    utterances: int
    seconds: float
    shards: tuple[Shard, ...]
    durations: dict[int, tuple[int, float]]

    @classmethod
    def of(cls, shards: Iterable[Shard], seconds: np.ndarray) -> "Split":
        """Describe a split by its shards and the seconds of each of its utterances."""
        shards, whole = tuple(shards), seconds.astype(int)
        counts, sums = np.bincount(whole), np.bincount(whole, weights=seconds)
        durations = {int(n): (int(counts[n]), round(float(sums[n]), 3)) for n in np.flatnonzero(counts)}
        return cls(len(seconds), round(sum(s.seconds for s in shards), 3), shards, durations)

    @property
    def fingerprint(self) -> str:
        """Equal for splits of the same utterances, prepared alike."""
        checksums = "".join(shard.sha256 + shard.audio_sha256 for shard in self.shards)
        return hashlib.sha256(checksums.encode()).hexdigest()[:16]

    @property
    def subsets(self) -> tuple[str, ...]:
        """Names of the parts that are evaluated apart."""
        return tuple(dict.fromkeys(shard.subset for shard in self.shards))

    def shards_of(self, subsets: Collection[str]) -> list[int]:
        """Return the numbers of the shards of these subsets. Raises FoldError if one is unknown."""
        for subset in subsets:
            if subset not in self.subsets:
                raise FoldError(f"no subset '{subset}' was prepared; there are: {', '.join(self.subsets)}")
        return [number for number, shard in enumerate(self.shards) if shard.subset in subsets]

    def usable(self, max_seconds: float) -> tuple[int, float]:
        """Return how many utterances are no longer than `max_seconds`, and their seconds: exact for whole seconds; of
        those within one second all or none, by their mean."""
        kept = [(n, seconds) for n, seconds in self.durations.values() if seconds <= n * max_seconds]
        return sum(n for n, _ in kept), sum(seconds for _, seconds in kept)


@dataclass(frozen=True)
class Index:
    """What a prepared folder holds.

    Attributes:
        corpus: class and settings of the corpus.
        sample_rate: of every utterance, in Hz.
        units: `Units.to_dict()` of the units trained on the training transcripts.
        splits: train, dev and test.
    """

    corpus: dict[str, Any]
    sample_rate: int
    units: dict[str, Any]
    splits: dict[str, Split]


def write_index(folder: Path, index: Index) -> None:
    """Write `index.json`, all of it or nothing."""
    # Through JSON, whose keys are strings: the checksum is that of what is read back.
    values = json.loads(json.dumps({"format": FORMAT, **asdict(index)}))
    write_json(folder / INDEX_FILE, {"sha256": _digest(values), **values})


def read_index(folder: Path) -> Index:
    """Read the `index.json` of a folder.

    Raises:
        FoldError: there is none, it is damaged, or it has another format.
    """
    try:
        return parse_index((folder / INDEX_FILE).read_bytes(), str(folder))
    except FileNotFoundError:
        raise FoldError(f"{folder} holds no prepared corpus (no {INDEX_FILE}); run `fold prepare`") from None


def parse_index(content: bytes, base: str) -> Index:
    """Read the content of an `index.json`; `base` is where it lies. Raises FoldError as `read_index`."""
    name = f"{base}/{INDEX_FILE}"
    try:
        values = json.loads(content)
        if values["format"] not in READABLE:
            raise FoldError(f"{name} has format {values['format']}, expected {FORMAT}; prepare it again")
        if values.pop("sha256") != _digest(values):
            raise FoldError(f"{name} is damaged (its checksum differs); delete it and prepare the corpus again")
        splits = {
            name: Split(
                s["utterances"],
                s["seconds"],
                tuple(Shard(**{"subset": name, **shard}) for shard in s["shards"]),
                {int(whole): (int(n), float(seconds)) for whole, (n, seconds) in s["durations"].items()},
            )
            for name, s in values["splits"].items()
        }
        return Index(values["corpus"], values["sample_rate"], values["units"], splits)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FoldError(f"{name} is damaged ({error!r}); delete it and prepare the corpus again") from error


def _digest(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

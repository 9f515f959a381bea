"""Shards of WebDataset that somebody else wrote, trained from where they lie."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, ClassVar

from fold.audio import read_stream
from fold.data.corpora.base import SPLITS, Recipe, Utterance
from fold.data.corpora.in_place import InPlace
from fold.data.corpora.lists import Row, id_of
from fold.data.corpora.recorded import RecordedCorpus
from fold.data.corpora.scans import Scan, Scanner
from fold.data.corpora.shard_lists import expand, folder_of, names_shards, under
from fold.data.corpora.tars import INSIDE, Layout, Sample, Sound, add_rows, joined
from fold.data.download import complete, is_url
from fold.errors import FoldError

HELD_OUT = 50  # of so many shards of one list, one is for dev and one for test
MAX_LIST_BYTES = 1 << 31
COLUMNS = ("audio", "text", "speaker", "start", "seconds", "end")


@dataclass(frozen=True)
class WebShards(RecordedCorpus):
    """Tar files in WebDataset's format, whoever wrote them: indexed once, and read where they lie.

    The root is a folder or URL (http, https, s3) in which the lists of shards below begin; or it is itself the list of
    the training shards: `ROOT="path/train-{000000..000127}.tar"`. A list has braces, wildcards (of files), and several
    lists joined by `::`.

    Args:
        train: Shards to train from.
        dev: Shards of the dev split; several lists by names of their own are subsets, evaluated apart. Null: one of 50
            training shards, at least one, from the end of their list.
        test: Likewise, of the test split.
        audio: Extensions of recordings.
        text: Extensions of the members that hold transcripts, or `EXTENSION:KEY` of those with JSON; the first that a
            sample has.
        speaker: Likewise, of speakers; without, they are unknown.
        lists: Lists (as of a Manifest) that hold the transcripts where the shards do not, of all splits or by split;
            `member:NAME` is a list within each shard. Recordings that are not listed are left out.
        columns: What the lists call their columns, as of a Manifest; `audio` is the name of a member, with or without
            its extension. Recordings must be listed whole: of a part (`start`, `end`), a list is refused, and one
            that is not as long as listed (`seconds`) is left out and counted.
    """

    train: str = "train-*.tar"
    dev: str | dict[str, str] | None = None
    test: str | dict[str, str] | None = None
    audio: list[str] = field(default_factory=lambda: ["flac", "wav", "mp3", "ogg", "opus"])
    text: list[str] = field(default_factory=lambda: ["txt", "json:text"])
    speaker: list[str] = field(default_factory=lambda: ["json:speaker"])
    lists: str | dict[str, str] | None = None
    columns: dict[str, str] = field(default_factory=dict)

    in_place: ClassVar[bool] = True

    def rooted(self, root: str | None) -> tuple[WebShards, Path | None]:
        if not root:
            return self, None
        base = folder_of(root) if names_shards(root) else root
        train = root if names_shards(root) else under(base, self.train)
        others = {name: _under(base, getattr(self, name)) for name in ("dev", "test", "lists")}
        return replace(self, train=train, **others), None

    def locate(self, root: Path | None, downloads: Path) -> Path:
        """Return where scans of the shards are kept."""
        if root is not None:
            raise FoldError(f"{self.name}: its root belongs to its lists; see WebShards.rooted")
        for key in self.columns:
            if key not in COLUMNS:
                raise FoldError(
                    f"{self.name}: columns: '{key}' is not read of shards; expected some of {', '.join(COLUMNS)}"
                )
        seen: dict[str, str] = {}
        for split in SPLITS:
            for place in (place for places in self._shards(split).values() for place in places):
                shard = place if is_url(place) else str(Path(place).resolve())
                if shard in seen:
                    raise FoldError(
                        f"{self.name}: {place} is in the splits '{seen[shard]}' and '{split}'; what is trained or "
                        "tuned on is no test: give each split shards of its own"
                    )
                seen[shard] = split
        for split in ("dev", "test"):
            if getattr(self, split) is None:
                shards = self._shards(split)[split]
                print(f"{self.name}: the split '{split}' is held out of '{self.train}': {', '.join(shards)}")
        return self.fetch(downloads)

    def fetch(self, downloads: Path) -> Path:
        return downloads / "scans"

    def sources(self, recipe: Recipe, root: Path | None) -> tuple[Path, ...]:
        return ()  # the recipe tells all of the shard

    def recipes(self, split: str, root: Path | None) -> list[Recipe]:
        return [recipe for listed in self.subsets(split, root).values() for recipe in listed]

    def subsets(self, split: str, root: Path | None) -> dict[str, Sequence[Recipe]]:
        listed = {name: self._samples(split, places, root or Path()) for name, places in self._shards(split).items()}
        _keep_keys_apart(pair for pairs in listed.values() for pair in pairs)
        return {name: [self._recipe(shard, sample) for shard, sample in pairs] for name, pairs in listed.items()}

    def render(self, recipe: Recipe, root: Path | None) -> Utterance:
        raise NotImplementedError("shards are read where they lie")

    def listen(self, name: str, stream: IO[bytes]) -> Sound:
        """Read a recording; return how long it is. Raises FoldError if it cannot be used."""
        samples, sample_rate, notices = self.checked(name, read_stream(name, stream, channel=self.channel))
        return Sound(len(samples), sample_rate, "; ".join(notices))

    def _shards(self, split: str) -> dict[str, list[str]]:
        """The shards of a split, by subset."""
        given = {"train": self.train, "dev": self.dev, "test": self.test}[split]
        if isinstance(given, dict):
            return {name: expand(places) for name, places in given.items()}
        return {split: expand(given) if given and split != "train" else self._held_out()[split]}

    def _held_out(self) -> dict[str, list[str]]:
        """The shards of the list for training, by split."""
        shards = expand(self.train)
        held = [split for split in ("test", "dev") if getattr(self, split) is None]
        number = max(1, len(shards) // HELD_OUT)
        if len(shards) <= number * len(held):
            raise FoldError(
                f"{self.name}: '{self.train}' names {len(shards)} shards, too few to keep some apart; set "
                + " and ".join(f"data.corpus.{split}" for split in reversed(held))
            )
        found = {}
        for split in held:
            shards, found[split] = shards[:-number], shards[-number:]
        return {"train": shards, **found}

    def _samples(self, split: str, places: Sequence[str], scans: Path) -> list[tuple[Scan, Sample]]:
        """The samples of shards, as their lists have them."""
        scanned = Scanner(scans, self._layout, self.listen, [self.channel, self.max_lost]).scan(places, self.name)
        outside = self._outside(split)
        if outside is None:
            found = [(shard, sample) for shard in scanned for sample in shard.samples]
        else:
            rows = _rows(outside, self.columns)
            both = [(shard, *joined([*shard.samples], rows)) for shard in scanned]
            found = [(shard, sample) for shard, listed, _ in both for sample in listed]
            self._tell(split, "recordings that are not listed", [s.name for _, _, others in both for s in others])
            if isinstance(self.lists, dict) and self.dev and self.test:  # else the lines of other splits are among them
                there = {name for _, sample in found for name in (sample.name, sample.key)}
                self._tell(split, "lines whose recording is in no shard", [name for name in rows if name not in there])
        self._check_some_usable(split, places, found)
        return found

    def _tell(self, split: str, what: str, names: Sequence[str]) -> None:
        if names:
            print(f"{self.name}, {split}: {what}: {len(names)}, such as '{names[0]}'")

    def _check_some_usable(self, split: str, places: Sequence[str], found: Sequence[tuple[Scan, Sample]]) -> None:
        faults = [sample for _, sample in found if sample.fault]
        if len(faults) == len(found):
            what = f"'{faults[0].key}': {faults[0].fault}" if faults else "no recording is in them, or none is listed"
            raise FoldError(f"{self.name}: no sample of the split '{split}' can be used ({places[0]}: {what})")

    def _outside(self, split: str) -> str | None:
        """The lists of a split that lie outside of its shards."""
        lists = self.lists
        if isinstance(lists, dict):
            lists = lists.get(split) if getattr(self, split) is not None else lists.get("train")
            if lists is None:
                raise FoldError(f"{self.name}: lists has none for the split '{split}'")
        return None if lists is None or lists.startswith(INSIDE) else lists

    @property
    def _layout(self) -> Layout:
        inside = self.lists if isinstance(self.lists, str) and self.lists.startswith(INSIDE) else ""
        return Layout(
            tuple(extension.lower() for extension in self.audio),
            tuple(self.text),
            tuple(self.speaker),
            listed=bool(self.lists),
            inside=inside.removeprefix(INSIDE),
            columns=self.columns,
        )

    def _recipe(self, shard: Scan, sample: Sample) -> InPlace:
        return InPlace(
            id_of(sample.key),
            sample.text,
            sample.speaker or "unknown",
            shard.place,
            shard.num_bytes,
            shard.sha256,
            sample.head,
            sample.offset,
            sample.num_bytes,
            sample.frames,
            sample.sample_rate,
            self.channel,
            sample.fault,
        )


def _under(base: str, given: str | dict[str, str] | None) -> Any:
    if isinstance(given, dict):
        return {name: under(base, places) for name, places in given.items()}
    return given if given is None or given.startswith(INSIDE) else under(base, given)


def _keep_keys_apart(pairs: Iterable[tuple[Scan, Sample]]) -> None:
    """Raises FoldError if two samples have one key."""
    seen: dict[str, str] = {}
    for shard, sample in pairs:
        if sample.key in seen:
            raise FoldError(f"{shard.place}: the key '{sample.key}' is that of a sample of {seen[sample.key]} already")
        seen[sample.key] = shard.place


def _rows(lists: str, columns: Mapping[str, str]) -> dict[str, Row]:
    """The lines of lists by the name of their recording. Raises FoldError as `add_rows`."""
    rows: dict[str, Row] = {}
    for place in expand(lists):
        add_rows(rows, place, _content(place), columns)
    return rows


def _content(place: str) -> bytes:
    try:
        if not is_url(place):
            return Path(place).read_bytes()
        with TemporaryDirectory() as folder:
            file = Path(folder) / "list"
            complete(place, file, sha256=None, max_bytes=MAX_LIST_BYTES, quiet=True)
            return file.read_bytes()
    except OSError as error:
        raise FoldError(f"{place}: cannot be read ({error.strerror})") from None

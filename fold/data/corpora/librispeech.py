"""Corpora in LibriSpeech's directory layout: LibriSpeech itself, or anything arranged like it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from fold.data.corpora.archive import fetch_archive
from fold.data.corpora.base import Recipe, by_subset, is_valid_id
from fold.data.corpora.recorded import DEFAULTS, RecordedCorpus, Recording, folder_of, text_of
from fold.errors import FoldError

FLAC = ".flac"
URL = "http://www.openslr.org/resources/12/{subset}.tar.gz"


@dataclass(frozen=True)
class LibriSpeech(RecordedCorpus):
    """Recorded sentences, subsets named per split; those of dev and test are evaluated apart.

    Args:
        train: Folders of the root (for LibriSpeech `train-clean-100`, `train-clean-360`, `train-other-500`,
            all downloadable).
        dev: Folders of the root (`dev-clean`, `dev-other`).
        test: Folders of the root (`test-clean`, `test-other`).
        audio_suffix: Of the recordings; of LibriSpeech itself `.flac`.
    """

    train: list[str] = field(default_factory=lambda: ["train-clean-100"])
    dev: list[str] = field(default_factory=lambda: ["dev-clean"])
    test: list[str] = field(default_factory=lambda: ["test-clean"])
    audio_suffix: str = FLAC

    listing = ("train", "dev", "test", "audio_suffix")
    defaults = {**DEFAULTS, "audio_suffix": FLAC}
    layout = "ROOT/SUBSET/SPEAKER/CHAPTER/*.flac with SPEAKER-CHAPTER.trans.txt (or ROOT/LibriSpeech/SUBSET/...)"

    def locate(self, root: Path | None, downloads: Path) -> Path:
        found = super().locate(root, downloads)
        if (found / "LibriSpeech").is_dir():
            found = found / "LibriSpeech"
        for subset in self._folders():
            if not any((found / subset).glob("*/*/*.trans.txt")):
                raise FoldError(f"{self.name}: no transcripts in {found / subset}; expected {self.layout}")
        return found

    def fetch(self, downloads: Path) -> Path:
        # Imported here: the published checksums are all that is wanted of a large package.
        from torchaudio.datasets.librispeech import _CHECKSUMS

        root = downloads / "librispeech"
        for subset in self._folders():
            url = URL.format(subset=subset)
            if url not in _CHECKSUMS:
                known = ", ".join(known.rsplit("/", 1)[-1].removesuffix(".tar.gz") for known in _CHECKSUMS)
                raise FoldError(f"{self.name}: no download of a subset '{subset}'; there are {known}; or give ROOT=")
            fetch_archive(url, root / subset, inside=f"LibriSpeech/{subset}", sha256=_CHECKSUMS[url])
        return root

    def recipes(self, split: str, root: Path | None) -> list[Recipe]:
        return [recording for listed in self.subsets(split, root).values() for recording in listed]

    def subsets(self, split: str, root: Path | None) -> dict[str, Sequence[Recipe]]:
        folders = {"train": self.train, "dev": self.dev, "test": self.test}[split]
        top = folder_of(root)
        listed = {_name(folder): _read_subset(top / folder, top, self.audio_suffix) for folder in folders}
        if len(listed) < len(folders):
            raise FoldError(f"{self.name}: two subsets of the split '{split}' have the same name")
        return by_subset(split, listed)

    def describe(self) -> dict[str, Any]:
        # Shards of the same settings that mix subsets were once written: what is prepared now has another name.
        return {**super().describe(), "shards": "by subset"}

    def _folders(self) -> list[str]:
        return [*self.train, *self.dev, *self.test]


def _name(folder: str) -> str:
    """Return the name of the subset in a folder of the root."""
    return str(PurePosixPath(folder)).replace("/", "-")


def _read_subset(folder: Path, root: Path, suffix: str) -> list[Recording]:
    transcripts = sorted(folder.glob("*/*/*.trans.txt"))
    return [recording for path in transcripts for recording in _read_transcripts(path, root, suffix)]


def _read_transcripts(path: Path, root: Path, suffix: str) -> Iterator[Recording]:
    """Yield the recordings of a chapter: one per line, `<id> <TEXT>`."""
    # Not splitlines, which also splits at characters that a transcript may hold.
    lines = ((number, line.rstrip("\r")) for number, line in enumerate(text_of(path).split("\n"), 1))
    for number, line in lines:
        if not line:
            continue
        name, _, text = line.partition(" ")
        audio = path.parent / f"{name}{suffix}"
        if not text.strip() or not is_valid_id(name):
            raise FoldError(f"{path}:{number}: expected '<id> <TEXT>', found {line!r}")
        if not audio.is_file():
            raise FoldError(f"{path}:{number}: the recording {audio.name} is missing beside it{_others(path, name)}")
        speaker = path.parent.parent.name
        yield Recording(name, " ".join(text.split()), speaker, audio.relative_to(root).as_posix())


def _others(path: Path, name: str) -> str:
    """What lies there instead of a recording that is missing, as an advice."""
    found = sorted(file.suffix for file in path.parent.iterdir() if file.stem == name)
    return f"; for {name}{found[0]} set data.corpus.audio_suffix={found[0]}" if found else ""

"""Corpora in LibriSpeech's directory layout: LibriSpeech itself, or anything arranged like it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fold.data.corpora.archive import fetch_archive
from fold.data.corpora.base import Corpus, Recipe, Utterance, read_audio, shuffled
from fold.errors import FoldError

URL = "http://www.openslr.org/resources/12/{subset}.tar.gz"


@dataclass(frozen=True)
class Recording(Recipe):
    """A recorded sentence.

    Attributes:
        file: the recording, relative to the root, with `/`.
    """

    file: str


@dataclass(frozen=True)
class LibriSpeech(Corpus):
    """Recorded sentences, subsets named per split.

    Attributes:
        train, dev, test: folders of the root (for LibriSpeech `train-clean-100`, `train-clean-360`,
            `train-other-500`, `dev-clean`, `dev-other`, `test-clean`, `test-other`, all downloadable).
    """

    train: list[str] = field(default_factory=lambda: ["train-clean-100"])
    dev: list[str] = field(default_factory=lambda: ["dev-clean"])
    test: list[str] = field(default_factory=lambda: ["test-clean"])

    layout = "ROOT/SUBSET/SPEAKER/CHAPTER/*.flac with SPEAKER-CHAPTER.trans.txt (or ROOT/LibriSpeech/SUBSET/...)"

    def locate(self, root: Path | None, downloads: Path) -> Path | None:
        found = super().locate(root, downloads)
        if (found / "LibriSpeech").is_dir():
            found = found / "LibriSpeech"
        for subset in self._subsets():
            if not any((found / subset).glob("*/*/*.trans.txt")):
                raise FoldError(f"{self.name}: no transcripts in {found / subset}; expected {self.layout}")
        return found

    def fetch(self, downloads: Path) -> Path:
        # Imported here: the published checksums are all that is wanted of a large package.
        from torchaudio.datasets.librispeech import _CHECKSUMS

        root = downloads / "librispeech"
        for subset in self._subsets():
            url = URL.format(subset=subset)
            if url not in _CHECKSUMS:
                known = ", ".join(known.rsplit("/", 1)[-1].removesuffix(".tar.gz") for known in _CHECKSUMS)
                raise FoldError(f"{self.name}: no download of a subset '{subset}'; there are {known}; or give ROOT=")
            fetch_archive(url, root / subset, inside=f"LibriSpeech/{subset}", sha256=_CHECKSUMS[url])
        return root

    def recipes(self, split: str, root: Path | None) -> list[Recording]:
        subsets = {"train": self.train, "dev": self.dev, "test": self.test}[split]
        listed = [
            recording
            for subset in subsets
            for transcripts in sorted((root / subset).glob("*/*/*.trans.txt"))
            for recording in _read_transcripts(transcripts, root)
        ]
        return shuffled(listed, split)

    def render(self, recipe: Recording, root: Path | None) -> Utterance:
        samples, sample_rate = read_audio(root / recipe.file)
        return Utterance(recipe.id, recipe.text, recipe.speaker, samples, sample_rate)

    def _subsets(self) -> list[str]:
        return [*self.train, *self.dev, *self.test]


def _read_transcripts(path: Path, root: Path) -> Iterator[Recording]:
    """Yield the recordings of a chapter: one per line, `<id> <TEXT>`."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        name, _, text = line.partition(" ")
        audio = path.with_name(f"{name}.flac")
        if not text.strip():
            raise FoldError(f"{path}:{number}: expected '<id> <TEXT>', found {line!r}")
        if not audio.is_file():
            raise FoldError(f"{path}:{number}: the recording {audio.name} is missing beside it")
        speaker = path.parent.parent.name
        yield Recording(name, " ".join(text.lower().split()), speaker, audio.relative_to(root).as_posix())

"""Connected digits: strings joined from the single recordings of the Free Spoken Digit Dataset."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fold.data.corpora.archive import fetch_archive
from fold.data.corpora.base import Recipe, Utterance, generator
from fold.data.corpora.recorded import RecordedCorpus, folder_of
from fold.errors import FoldError

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
VERSION = "1.0.10"
URL = f"https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v{VERSION}.zip"

INDICES = {"test": range(0, 5), "dev": range(5, 10), "train": range(10, 1000)}
"""Recordings of a split, by the index of each digit and speaker; 0-4 is the publisher's test split."""


@dataclass(frozen=True)
class DigitString(Recipe):
    """A string of digits.

    Attributes:
        files: the recordings in order, names within `recordings/`.
    """

    files: tuple[str, ...]


@dataclass(frozen=True)
class FSDD(RecordedCorpus):
    """Strings of 2 to 7 digits, each from recordings of one speaker, with short random pauses; 8 kHz.

    Within a split every recording of a speaker is used before any is used again. The six speakers are the
    same in all splits; the recordings are not.

    Args:
        train_strings: Number of strings of the train split.
        dev_strings: Of the dev split.
        test_strings: Of the test split.
        random_seed: Of the choice of recordings and of the pauses.
    """

    train_strings: int = 3000
    dev_strings: int = 200
    test_strings: int = 300
    random_seed: int = 1

    layout = "ROOT/recordings/<digit>_<speaker>_<index>.wav, e.g. recordings/7_jackson_3.wav"

    def locate(self, root: Path | None, downloads: Path) -> Path:
        found = super().locate(root, downloads)
        if not any(found.glob("recordings/*.wav")):
            raise FoldError(f"{self.name}: no recordings in {found}; expected {self.layout}")
        return found

    def fetch(self, downloads: Path) -> Path:
        # GitHub makes this archive on demand and promises no checksum; a zip checks its members itself.
        inside = f"free-spoken-digit-dataset-{VERSION}"
        return fetch_archive(URL, downloads / f"fsdd-{VERSION}", inside=inside, sha256=None)

    def recipes(self, split: str, root: Path | None) -> list[DigitString]:
        count = {"train": self.train_strings, "dev": self.dev_strings, "test": self.test_strings}[split]
        speakers = self._recordings(split, folder_of(root))
        if not speakers:
            raise FoldError(f"{self.name}: no recordings for the split '{split}' in {root}")
        decks = {speaker: _deal(files, self.random_seed, split, speaker) for speaker, files in speakers.items()}
        lengths = generator(self.random_seed, split, "lengths").integers(2, 8, size=count)
        strings = []
        for index, length in enumerate(lengths):
            speaker = list(speakers)[index % len(speakers)]
            files = tuple(next(decks[speaker]) for _ in range(length))
            text = " ".join(DIGITS[int(file[0])] for file in files)
            strings.append(DigitString(f"{split}-{index:06d}", text, speaker, files))
        return strings

    def render(self, recipe: Recipe, root: Path | None) -> Utterance:
        rng = generator(self.random_seed, "pauses", recipe.id)
        parts: list[np.ndarray] = []
        notices: list[str] = []
        for path in self.sources(recipe, root):
            samples, sample_rate, told = self.read(path)
            parts += [_pause(rng, sample_rate), samples]
            notices += told
        parts.append(_pause(rng, sample_rate))
        return Utterance(recipe.id, recipe.text, recipe.speaker, np.concatenate(parts), sample_rate, tuple(notices))

    def sources(self, recipe: Recipe, root: Path | None) -> tuple[Path, ...]:
        assert isinstance(recipe, DigitString)
        return tuple(folder_of(root) / "recordings" / file for file in recipe.files)

    def _recordings(self, split: str, root: Path) -> dict[str, list[str]]:
        """Return the names of a split's recordings per speaker, both sorted."""
        speakers: dict[str, list[str]] = {}
        for path in sorted((root / "recordings").glob("*.wav")):
            match = re.fullmatch(r"(\d)_(\w+)_(\d+)\.wav", path.name)
            if match is None:
                raise FoldError(f"{path} is not named <digit>_<speaker>_<index>.wav")
            if int(match[3]) in INDICES[split]:
                speakers.setdefault(match[2], []).append(path.name)
        return dict(sorted(speakers.items()))


def _deal(files: list[str], *key: int | str) -> Iterator[str]:
    """Yield the files in random order, all of them before any comes again, for ever."""
    rng = generator(*key)
    while True:
        for i in rng.permutation(len(files)):
            yield files[i]


def _pause(rng: np.random.Generator, sample_rate: int) -> np.ndarray:
    """Return 20 to 200 ms of faint noise (-66 dB): digital silence would give the joints away."""
    num_samples = round(rng.uniform(0.02, 0.2) * sample_rate)
    return (0.0005 * rng.standard_normal(num_samples)).astype(np.float32)

"""Corpora of recordings: which channel is read, and which recordings are refused."""

import codecs
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fold.audio import Audio, Channel, read_audio
from fold.data.corpora.base import Corpus, Recipe, Utterance
from fold.data.corpora.segments import read_segment
from fold.errors import FoldError

SILENCE = 1.5 / 32768
"""Between one and two steps of the 16 bits in a shard: what goes no farther from its mean anywhere says nothing."""
FULL_SCALE = 1.01
MAX_CLIPPED_SHARE = 0.05
TOLD_CLIPPED_SHARE = 0.001  # more is told: of loud music, compressed, some samples always are
DEFAULTS: dict[str, Any] = {"channel": "mix", "max_lost": 0.02, "columns": {}, "audio_folder": None, "audio_suffix": ""}


@dataclass(frozen=True)
class Recording(Recipe):
    """A recorded utterance.

    Attributes:
        file: the recording, relative to the root or absolute, with `/`.
    """

    file: str


@dataclass(frozen=True)
class Segment(Recording):
    """An utterance that is a part of a recording.

    Attributes:
        start: where it begins, in seconds.
        seconds: its length; None: until the recording ends.
    """

    start: float
    seconds: float | None


@dataclass(frozen=True)
class ChannelSegment(Segment):
    """An utterance whose list tells which channel of a recording it is in.

    Attributes:
        channel: as of `read_audio`.
    """

    channel: Channel


@dataclass(frozen=True, kw_only=True)
class RecordedCorpus(Corpus):
    """A corpus of recordings, one per utterance.

    Args:
        channel: Which channel of a recording is read: `mix` for the mean of all, `left`, `right`, or a number from 1.
        max_lost: Largest share of a recording that may be missing, as in half a download; one that lacks more, or does
            not tell how much it lacks, is refused. 1 takes what is there.
    """

    channel: Channel = "mix"
    max_lost: float = 0.02

    defaults = DEFAULTS  # left out of the description

    def __post_init__(self) -> None:
        if not 0 <= self.max_lost <= 1:
            raise FoldError(f"data.corpus.max_lost is {self.max_lost}: expected a share, 0 to 1")

    def describe(self) -> dict[str, Any]:
        # Left out where they are what was done before there were such settings: shards of that time are still theirs.
        described = super().describe()
        settings = described["settings"].items()
        return {**described, "settings": {name: value for name, value in settings if value != self.defaults.get(name)}}

    def locate(self, root: Path | None, downloads: Path) -> Path:
        found = super().locate(root, downloads)
        assert found is not None  # recordings are somewhere, wherever `fetch` has them from
        return found

    def sources(self, recipe: Recipe, root: Path | None) -> tuple[Path, ...]:
        return (folder_of(root) / _recording(recipe).file,)

    def render(self, recipe: Recipe, root: Path | None) -> Utterance:
        [path] = self.sources(recipe, root)
        if isinstance(recipe, Segment):
            channel = recipe.channel if isinstance(recipe, ChannelSegment) else self.channel
            part = read_segment(path, recipe.start, recipe.seconds, channel)
            samples, sample_rate, notices = self.checked(path, part)
        else:
            samples, sample_rate, notices = self.read(path)
        return Utterance(recipe.id, recipe.text, recipe.speaker, samples, sample_rate, notices)

    def read(self, path: Path) -> tuple[np.ndarray, int, tuple[str, ...]]:
        """Read a recording at its own sample rate; return samples, that rate, and what is wrong with it.

        Raises:
            FoldError: the file is missing, is no audio, lacks the channel, or holds no speech or too little of it.
        """
        return self.checked(path, read_audio(path, channel=self.channel))

    def checked(self, name: object, audio: Audio) -> tuple[np.ndarray, int, tuple[str, ...]]:
        """Return samples and sample rate of what was read, and what is wrong with it; else as `read`."""
        samples, sample_rate, flaws = audio
        for flaw in flaws:
            if flaw.lost > self.max_lost:
                raise FoldError(f"{name}: {flaw.reason}; mend it, leave it out, or set max_lost above {self.max_lost}")
        if len(samples) == 0:
            raise FoldError(f"{name}: holds no samples")
        mean = samples.mean(dtype=np.float64)
        if max(samples.max() - mean, mean - samples.min()) < SILENCE:
            cancelled = "; ".join(f", as {flaw.reason}: set channel" for flaw in flaws)
            raise FoldError(f"{name}: silent{cancelled}")
        clipped = np.count_nonzero(np.abs(samples) > FULL_SCALE) / len(samples)
        beyond = f"{clipped:.1%} of its samples are beyond full scale, which is 1.0"
        if clipped > MAX_CLIPPED_SHARE:
            raise FoldError(f"{name}: {beyond}")
        is_cut = clipped > TOLD_CLIPPED_SHARE and not self.in_place  # what stays in its place stays as it is
        cut = [f"{beyond}; they are cut off"] if is_cut else []
        told = [*(flaw.reason for flaw in flaws), *cut]
        return samples, sample_rate, tuple(f"{name}: {reason}" for reason in told)


def text_of(path: Path) -> str:
    """Return the text of a list or of transcripts, without a byte order mark.

    Raises:
        FoldError: it cannot be read, or is not UTF-8.
    """
    try:
        return decoded(path, path.read_bytes())
    except OSError as error:
        raise FoldError(f"{path}: cannot be read ({error.strerror})") from None


def decoded(name: object, content: bytes) -> str:
    """Return the text of the content of a file, without a byte order mark. Raises FoldError if it is not UTF-8."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = ", but UTF-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else ""
        raise FoldError(f"{name}:{line}: not UTF-8{found}: save it as UTF-8") from None


def folder_of(root: Path | None) -> Path:
    """Return the folder that relative names of recordings start from."""
    return root or Path()


def _recording(recipe: Recipe) -> Recording:
    assert isinstance(recipe, Recording)
    return recipe

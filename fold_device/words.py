"""From the outputs of a model to text, and to words with times and confidences."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

BLANK = 0
SILENT = ("<blank>", "<sos/eos>")
"""Units that are no text."""
UNKNOWN = "⁇"
WORD_START = "▁"  # of SentencePiece
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)
"""Letters of scripts that set no words apart: Thai, Lao, Burmese, Khmer, Japanese, Chinese."""


@dataclass(frozen=True)
class Word:
    """start, end: in seconds from the beginning of the audio, to within a frame; confidence: 0 to 1, the geometric mean
    of the probabilities that the model gave to the word's units."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Transcript:
    """What was said. seconds: of audio."""

    text: str
    words: tuple[Word, ...]
    seconds: float


class Symbol(NamedTuple):
    """A unit that was recognised, over frames `first` to `last`, with its highest log-probability among them."""

    unit: int
    first: int
    last: int
    log_prob: float


def best_path(log_probs: np.ndarray) -> list[Symbol]:
    """The best unit of each frame, repeats merged, blanks dropped. log_probs: (frames, units)."""
    if not len(log_probs):
        return []
    best = log_probs.argmax(axis=1)
    starts = np.flatnonzero(np.diff(best, prepend=-1))
    ends = np.append(starts[1:], len(best))
    return [
        Symbol(int(best[first]), int(first), int(end) - 1, float(log_probs[first:end, best[first]].max()))
        for first, end in zip(starts, ends, strict=True)
        if best[first] != BLANK
    ]


def between(characters: Collection[str]) -> str:
    """What stands between texts that follow one another, written in these: nothing in a script that sets no words
    apart, whose characters have no space."""
    return "" if not any(" " in c for c in characters) and any(map(UNSPACED.match, characters)) else " "


class Units:
    """The texts of a model's outputs.

    Args:
        texts: of each output.
        joiner: `characters`, among them a space, or `sentencepiece`, pieces of which those with a `▁` begin a word.
    """

    def __init__(self, texts: Sequence[str], joiner: str) -> None:
        self._texts = ["" if text in SILENT else text for text in texts]
        self._joiner = joiner
        self._between = " " if joiner == "sentencepiece" else between(texts)

    def __len__(self) -> int:
        return len(self._texts)

    def joined(self, texts: Iterable[str]) -> str:
        """Texts that were said one after another, as one."""
        return self._between.join(filter(None, texts))

    def text(self, symbols: Sequence[Symbol]) -> str:
        """As `fold transcribe` writes it."""
        texts = [self._texts[symbol.unit] for symbol in symbols]
        if self._joiner == "sentencepiece":
            texts = [f" {text} " if text == UNKNOWN else text.replace(WORD_START, " ") for text in texts]
        return " ".join("".join(texts).split())

    def words(self, symbols: Sequence[Symbol], frame_seconds: float, offset: float = 0.0) -> list[Word]:
        """Words with their times. offset: of the first frame, in seconds."""
        grouped: list[list[Symbol]] = [[]]
        for symbol in symbols:
            text = self._texts[symbol.unit]
            if text.startswith((" ", WORD_START)):
                grouped.append([])
            if text.strip(" " + WORD_START):
                grouped[-1].append(symbol)
            if text.endswith(" "):
                grouped.append([])
        return [self._word(group, frame_seconds, offset) for group in grouped if group]

    def _word(self, group: Sequence[Symbol], frame_seconds: float, offset: float) -> Word:
        text = "".join(self._texts[symbol.unit] for symbol in group).strip(f" {WORD_START}")
        start, end = (offset + frame * frame_seconds for frame in (group[0].first, group[-1].last + 1))
        return Word(text, start, end, math.exp(sum(symbol.log_prob for symbol in group) / len(group)))

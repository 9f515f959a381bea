"""Lists in NIST's segment time marks (`.stm`), as of TED-LIUM: one, or a folder of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from fold.data.corpora.recorded import text_of
from fold.errors import FoldError

SUFFIX = ".stm"
NOT_SCORED = "ignore_time_segment_in_scoring"
UNKNOWN = "<unk>"
"""What stands for words that nobody wrote down."""
CHANNELS = {"A": "1", "B": "2"}
_LABEL = re.compile(r"<[^<>\s]*,[^<>\s]*>\s*")  # of conditions, such as <o,f0,female>
_MARKS = re.compile(r"\{[^{}]*\}|<sil>|\(\d+\)")  # of noises, silence, and how a word was pronounced
_ENDINGS = re.compile(r"\s+(?='(?:s|t|d|m|re|ve|ll)\b)")  # TED-LIUM has `it 's`


def is_stm(path: Path) -> bool:
    """Return whether a path is such a list, or a folder of them."""
    return path.suffix == SUFFIX if path.is_file() else next(path.glob(f"*{SUFFIX}"), None) is not None


def read_stm(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield place (`FILE:LINE`) and values (audio, channel, speaker, start, end, text) of every segment with words that
    are known; the others are counted, and their number printed once.

    Raises:
        FoldError: a list cannot be read, or a line is not as it should be.
    """
    left_out = 0
    for file in [path] if path.is_file() else sorted(path.glob(f"*{SUFFIX}")):
        for number, line in enumerate(text_of(file).split("\n"), 1):
            if not line.strip() or line.startswith(";;"):
                continue
            fields = line.split(maxsplit=5)
            if len(fields) < 5:
                raise FoldError(f"{file}:{number}: expected 'FILE CHANNEL SPEAKER START END TEXT', times in seconds")
            audio, channel, speaker, start, end, *rest = fields
            said = _LABEL.sub("", "".join(rest), count=1)
            text = _ENDINGS.sub("", " ".join(_MARKS.sub(" ", said).split()))
            if not text or text == NOT_SCORED or UNKNOWN in text:
                left_out += 1
                continue
            row = {"audio": audio, "speaker": speaker, "start": start, "end": end, "text": text}
            yield f"{file}:{number}", row | {"channel": CHANNELS.get(channel, channel)}
    if left_out:
        _tell(f"{path}: {left_out} segments without words, or with words that nobody wrote down, are left out")


@lru_cache
def _tell(message: str) -> None:
    """Prints a message once: lists are read several times."""
    print(message)

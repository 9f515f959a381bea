"""A corpus at a glance: sentences that a model of it has learned to hear, and an utterance as a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import soundfile

from fold.data.batching import Example
from fold.data.datamodule import SpeechData
from fold.data.faults import BadUtterance
from fold.data.plans import Reference
from fold.data.stream import ShardedSpeech

MOST_TRIED = 100  # utterances read in search of sentences


def sample_sentences(data: SpeechData, number: int = 3) -> list[str]:
    """Sentences to say to a model that was trained on this corpus: of its grammar, if it has one, or else the first
    different ones of the training split (so many, or all there are among the first hundred utterances)."""
    known = data.corpus.sample_sentences(number)
    if known:
        return known
    found: dict[str, None] = {}
    for example in _first(data, "train"):
        found.setdefault(example.text)
        if len(found) == number:
            break
    return list(found)


def write_sample(data: SpeechData, file: Path) -> Example | None:
    """Writes the first usable utterance of the test split as 16-bit WAV; None if there is none, or no room for it."""
    example = next(_first(data, "test"), None)
    if example is None:
        return None
    try:
        soundfile.write(file, example.waveform.numpy(), data.sample_rate, subtype="PCM_16")
    except (OSError, soundfile.LibsndfileError):
        return None
    return example


def _first(data: SpeechData, split: str) -> Iterator[Example]:
    """Usable utterances of the beginning of a split."""
    speech = ShardedSpeech(data.location, data.index.splits[split], data.sample_rate, data.units)
    if speech.split.shards:
        for row in range(min(MOST_TRIED, speech.split.shards[0].utterances)):
            try:
                yield speech.read(Reference(0, row))
            except BadUtterance:
                continue

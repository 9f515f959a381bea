"""Utterances of shards of `fold prepare`, read without PyTorch, so that a process can be measured without it."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile


def utterances(shard: Path) -> Iterator[tuple[np.ndarray, str]]:
    """Samples (samples,) and transcript of each utterance of a shard."""
    with tarfile.open(shard) as tar:
        for name in [name for name in tar.getnames() if name.endswith(".flac")]:
            sound, words = tar.extractfile(name), tar.extractfile(name.removesuffix("flac") + "json")
            assert sound is not None and words is not None
            samples, _ = soundfile.read(io.BytesIO(sound.read()), dtype="float32")
            yield samples, json.load(words)["text"]

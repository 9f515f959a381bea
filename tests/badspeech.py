"""A small prepared split in the format of `fold prepare`, with an utterance made bad in any of the ways there are."""

import io
import json
import pickle
import tarfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile

from fold.data.batching import Batch
from fold.data.cache import ShardCache
from fold.data.corpora import Utterance
from fold.data.index import Split
from fold.data.location import Location
from fold.data.plans import Reference
from fold.data.shards import SIDECAR_DTYPE, describe_shard, hash_id, sidecar_path
from fold.data.stream import ShardedSpeech
from fold.text.units import UnitsConfig, train_units

RATE = 8000
SHARD = "train-000000.tar"
TEXTS = ["one", "two", "three", "four", "five"]
BAD = 2  # the row that is made bad
Change = Callable[[dict], None]
"""Alters the parts of an utterance before they are written: names, audio, meta (bytes), samples and hash."""


def utterances() -> list[Utterance]:
    generator = np.random.default_rng(0)
    return [
        Utterance(f"u{i}", text, "anna", (generator.integers(-9000, 9000, 3000 + 400 * i) / 32768).astype("f4"), RATE)
        for i, text in enumerate(TEXTS)
    ]


def flac(samples: np.ndarray, rate: int = RATE, **options: str) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, **{"format": "FLAC", "subtype": "PCM_16", **options})
    return stream.getvalue()


def write(folder: Path, change: Change = lambda parts: None) -> ShardedSpeech:
    """A shard in the format of `write_shard`, whose row BAD was changed as another program might have done."""
    rows = []
    with tarfile.open(folder / SHARD, "w", format=tarfile.USTAR_FORMAT) as tar:
        for index, utterance in enumerate(utterances()):
            meta = {"id": utterance.id, "text": utterance.text, "speaker": "anna", "seconds": 0.5}
            parts = {
                "names": [f"{utterance.id}.flac", f"{utterance.id}.json"],
                "samples": utterance.samples,
                "audio": flac(utterance.samples),
                "meta": json.dumps(meta).encode(),
                "hash": hash_id(utterance.id),
            }
            if index == BAD:
                change(parts)
            places = []
            for name, content in zip(parts["names"], (parts["audio"], parts["meta"]), strict=True):
                header = tarfile.TarInfo(name)
                header.size = len(content)
                places += [tar.offset + tarfile.BLOCKSIZE, len(content)]
                tar.addfile(header, io.BytesIO(content))
            rows.append((*places, zlib.crc32(parts["meta"]), len(parts["samples"]), parts["hash"]))
    np.save(sidecar_path(folder / SHARD), np.array(rows, dtype=SIDECAR_DTYPE))
    return speech(folder)


def fits(units: Sequence[int], num_samples: int) -> bool:
    return len(units) <= num_samples // 600


def speech(folder: Path) -> ShardedSpeech:
    split = Split(len(TEXTS), 3.0, (describe_shard(folder / SHARD, RATE),), {})
    location = Location.of(str(folder), ShardCache(folder / "cache", 0))
    return ShardedSpeech(location, split, RATE, train_units(UnitsConfig(), TEXTS), fits)


def reopened(data: ShardedSpeech) -> ShardedSpeech:
    return pickle.loads(pickle.dumps(data))  # as for another process


def everything(data: ShardedSpeech) -> Batch:
    return data[[Reference(0, row) for row in range(len(TEXTS))]]


def with_meta(**changes: object) -> Change:
    def change(parts: dict) -> None:
        meta = {**json.loads(parts["meta"]), **changes}
        parts["meta"] = json.dumps({name: value for name, value in meta.items() if value is not None}).encode()

    return change


def with_audio(samples: np.ndarray, rate: int = RATE, **options: str) -> Change:
    def change(parts: dict) -> None:
        parts["samples"], parts["audio"] = samples, flac(samples, rate, **options)

    return change


def set_part(**values: object) -> Change:
    return lambda parts: parts.update(values)


def as_duplicate(parts: dict) -> None:
    parts.update(names=["u0.flac", "u0.json"], hash=hash_id("u0"))
    with_meta(id="u0")(parts)


NOISE = np.random.default_rng(1).uniform(-0.5, 0.5, 4000)
FAULTS: dict[str, tuple[Change, str]] = {
    "garbage audio": (set_part(audio=b"no audio at all"), "undecodable audio"),
    "empty audio": (set_part(audio=b""), "undecodable audio"),
    "truncated flac": (lambda parts: parts.update(audio=parts["audio"][:900]), "undecodable audio"),
    "sample rate": (with_audio(NOISE, 16000), "wrong sample rate"),
    "stereo": (with_audio(np.stack([NOISE, NOISE], 1)), "wrong channels"),
    "zero length": (with_audio(np.zeros(0), format="WAV"), "no samples"),
    "nan": (
        with_audio(np.where(np.arange(4000) == 7, np.nan, NOISE), format="WAV", subtype="FLOAT"),
        "invalid samples",
    ),
    "clipped": (with_audio(np.sign(NOISE)), "clipped audio"),
    "duration": (set_part(samples=np.zeros(10**9, dtype="i1")), "wrong duration"),
    "no text": (with_meta(text=None), "damaged metadata"),
    "empty text": (with_meta(text="  "), "no transcript"),
    "text that is none": (with_meta(text=["one"]), "damaged metadata"),
    "not utf-8": (set_part(meta=b'{"id": "u2", "text": "caf\xe9"}'), "damaged metadata"),
    "no json": (set_part(meta=b"{"), "damaged metadata"),
    "json of another kind": (set_part(meta=b"[1]"), "damaged metadata"),
    "unknown symbol": (with_meta(text="zwölf"), "unknown symbol"),
    "long transcript": (with_meta(text="onetwothreefourfive" * 2), "transcript too long"),
    "another's id": (with_meta(id="u9"), "damaged metadata"),
    "duplicate id": (as_duplicate, "duplicate id"),
    "path outside": (set_part(names=["../../u2.flac", "u2.json"]), "unexpected member"),
    "pickle": (set_part(names=["u2.flac", "u2.pickle"]), "unexpected member"),
    "pyd": (set_part(names=["u2.pyd", "u2.json"]), "unexpected member"),
}

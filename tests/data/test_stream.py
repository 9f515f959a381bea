"""Reading shards: what is good comes back as it was written, what is bad is named, and nothing else is lost."""

import io
import json
import math
import pickle
import random
import tarfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fold.data.batching import Batch
from fold.data.cache import ShardCache
from fold.data.corpora import Utterance
from fold.data.faults import Fault, FaultCounts, FaultPolicy, enforce
from fold.data.index import Split
from fold.data.location import Location
from fold.data.plans import Reference
from fold.data.shards import SIDECAR_DTYPE, describe_shard, hash_id, sidecar_path, write_shard
from fold.data.stream import ShardedSpeech
from fold.data.units import UnitsConfig, train_units
from fold.errors import FoldError

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


@pytest.mark.parametrize("kind", FAULTS)
def test_a_bad_utterance_is_named_and_the_others_come(kind: str, tmp_path: Path) -> None:
    change, reason = FAULTS[kind]
    batch = everything(write(tmp_path, change))
    assert batch.ids == ["u0", "u1", "u3", "u4"]
    [fault] = batch.faults
    assert (fault.reason, fault.shard) == (reason, SHARD)
    assert fault.id in ("row 2", "u2", "u0", "u9")
    assert "\n" not in str(fault)


def test_good_utterances_come_as_they_were_written(tmp_path: Path) -> None:
    write_shard(tmp_path / SHARD, utterances(), RATE)
    batch = everything(speech(tmp_path))
    assert batch.faults == []
    assert batch.texts == TEXTS
    for row, utterance in enumerate(utterances()):
        np.testing.assert_array_equal(batch.waveforms[row, : batch.num_samples[row]].numpy(), utterance.samples)


def test_evaluation_takes_any_transcript(tmp_path: Path) -> None:
    data = write(tmp_path, with_meta(text="zwölf und noch viel mehr, zu lang für so wenig"))
    data.fits = None
    assert len(everything(data).ids) == len(TEXTS)


def test_a_truncated_tar_loses_only_what_it_lost(tmp_path: Path) -> None:
    data = write(tmp_path)
    size = (tmp_path / SHARD).stat().st_size
    with (tmp_path / SHARD).open("r+b") as file:
        file.truncate(size // 2)
    batch = everything(data)
    assert 0 < len(batch.ids) < len(TEXTS)
    assert {fault.reason for fault in batch.faults} == {"truncated shard"}
    assert len(batch.ids) + len(batch.faults) == len(TEXTS)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    data = write(tmp_path)
    (tmp_path / SHARD).unlink()
    batch = everything(data)
    assert {fault.reason for fault in batch.faults} == {"unreadable shard"}
    assert batch.ids == []


@pytest.mark.parametrize("file", ["pipe:touch ran", "../train-000000.tar", "/etc/passwd", "|touch ran"])
def test_an_index_cannot_name_anything_but_its_shards(file: str, tmp_path: Path) -> None:
    data = write(tmp_path)
    [shard] = data.split.shards
    data.split = replace(data.split, shards=(replace(shard, file=file),))
    batch = everything(data)
    assert batch.ids == []
    assert {fault.reason for fault in batch.faults} == {"unreadable shard"}
    assert not list(tmp_path.glob("ran*"))


def test_a_damaged_sidecar_costs_its_shard_alone(tmp_path: Path) -> None:
    data = write(tmp_path)
    content = bytearray(sidecar_path(tmp_path / SHARD).read_bytes())
    content[-20] ^= 1
    sidecar_path(tmp_path / SHARD).write_bytes(content)
    assert len(data.lengths()(0)) == len(TEXTS)  # still planned, so that each is counted
    batch = everything(data)
    assert batch.ids == [] and len(batch.faults) == len(TEXTS)
    assert {fault.reason for fault in batch.faults} == {"unreadable shard"}


def test_any_flipped_byte_is_noticed_or_harmless(tmp_path: Path) -> None:
    data = write(tmp_path)
    whole = (tmp_path / SHARD).read_bytes()
    good = everything(data)
    dice = random.Random(0)
    noticed = 0
    for _ in range(300):
        place = dice.randrange(len(whole))
        damaged = bytearray(whole)
        damaged[place] ^= 1 << dice.randrange(8)
        (tmp_path / SHARD).write_bytes(damaged)
        batch = everything(reopened(data))
        assert len(batch.ids) + len(batch.faults) == len(TEXTS)
        for row, id in enumerate(batch.ids):
            same = good.ids.index(id)
            assert batch.texts[row] == good.texts[same]
            n = int(good.num_samples[same])
            np.testing.assert_array_equal(batch.waveforms[row, :n].numpy(), good.waveforms[same, :n].numpy())
        noticed += len(batch.faults)
    assert noticed > 200


@pytest.mark.parametrize("skipped", [0, 1, 2, 3])
def test_more_than_the_share_stops(skipped: int) -> None:
    faults = _some_faults()[:skipped]
    policy = FaultPolicy("skip", max_share=0.02)
    if skipped > 2:
        with pytest.raises(FoldError, match=r"3 of 100 utterances.*train-000000.tar, u2"):
            enforce(policy, faults, skipped, 100)
    else:
        enforce(policy, faults, skipped, 100)


def test_the_policy_raise_stops_at_the_first() -> None:
    with pytest.raises(FoldError, match=r"train-000000.tar, u0: clipped audio"):
        enforce(FaultPolicy("raise", max_share=math.inf), _some_faults(), 1, 100)


def test_faults_are_counted_by_reason_and_shard() -> None:
    counts = FaultCounts()
    counts.add(_some_faults())
    assert counts.by_reason() == {"clipped audio": 3}
    assert "3 training utterances" in counts.summary("training")
    assert "3 x clipped audio, train-000000.tar" in counts.summary("training")


def _some_faults() -> list[Fault]:
    return [Fault("clipped audio", SHARD, f"u{i}", "much") for i in range(3)]

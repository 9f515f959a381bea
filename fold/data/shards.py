"""The shard format: a WebDataset tar per few hundred utterances, a sidecar of offsets, an index of all.

A tar holds `<id>.flac` (16-bit) and `<id>.json` (id, text, speaker, seconds) per utterance and is readable by
any WebDataset reader. The sidecar `<shard>.npy` gives the place of every member, so that a reader can seek.
"""

import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from fold.data.corpora.base import Utterance, is_valid_id
from fold.data.files import checksum, replacing, write_json
from fold.errors import FoldError

FORMAT = 2
INDEX_FILE = "index.json"
# One header block per member, whatever the name: offsets are known while writing.
_TAR_FORMAT = tarfile.USTAR_FORMAT

SIDECAR_DTYPE = np.dtype(
    [
        ("audio_offset", "<i8"),
        ("audio_bytes", "<i4"),
        ("meta_offset", "<i8"),
        ("meta_bytes", "<i4"),
        ("meta_crc", "<u4"),
        ("num_samples", "<i4"),
        ("id_hash", "<u8"),
    ]
)


@dataclass(frozen=True)
class Shard:
    """One tar file of a split; `bytes` and `sha256` are the tar's."""

    file: str
    utterances: int
    seconds: float
    bytes: int
    sha256: str
    sidecar_bytes: int
    sidecar_sha256: str


@dataclass(frozen=True)
class Split:
    """One split: its shards, and how long its utterances are.

    Attributes:
        durations: utterances by whole seconds, `{3: (n, s)}` for n utterances of 3 to 4 seconds, s seconds in all.
    """

    utterances: int
    seconds: float
    shards: tuple[Shard, ...]
    durations: dict[int, tuple[int, float]]

    @classmethod
    def of(cls, shards: Iterable[Shard], folder: Path, sample_rate: int) -> "Split":
        """Describe the shards of a split, which lie in `folder`."""
        shards = tuple(shards)
        seconds = np.concatenate([read_sidecar(folder / s.file)["num_samples"] / sample_rate for s in shards])
        counts, sums = np.bincount(seconds.astype(int)), np.bincount(seconds.astype(int), weights=seconds)
        durations = {int(n): (int(counts[n]), round(float(sums[n]), 3)) for n in np.flatnonzero(counts)}
        return cls(len(seconds), round(sum(s.seconds for s in shards), 3), shards, durations)

    def usable(self, max_seconds: float) -> tuple[int, float]:
        """Return how many utterances are no longer than `max_seconds` (to the second), and their seconds."""
        kept = [both for whole, both in self.durations.items() if whole < max_seconds]
        return sum(n for n, _ in kept), sum(seconds for _, seconds in kept)


@dataclass(frozen=True)
class Index:
    """What a prepared folder holds.

    Attributes:
        corpus: class and settings of the corpus.
        sample_rate: of every utterance, in Hz.
        units: `Units.to_dict()` of the units trained on the training transcripts.
        splits: train, dev and test.
    """

    corpus: dict[str, Any]
    sample_rate: int
    units: dict[str, Any]
    splits: dict[str, Split]


def write_index(folder: Path, index: Index) -> None:
    """Write `index.json`, all of it or nothing."""
    write_json(folder / INDEX_FILE, {"format": FORMAT, **asdict(index)})


def read_index(folder: Path) -> Index:
    """Read `index.json`.

    Raises:
        FoldError: there is none, it is damaged, or it has another format.
    """
    path = folder / INDEX_FILE
    try:
        values = json.loads(path.read_bytes())
        if values["format"] != FORMAT:
            raise FoldError(f"{path} has format {values['format']}, expected {FORMAT}; prepare it again")
        splits = {
            name: Split(
                s["utterances"],
                s["seconds"],
                tuple(Shard(**shard) for shard in s["shards"]),
                {int(whole): (int(n), float(seconds)) for whole, (n, seconds) in s["durations"].items()},
            )
            for name, s in values["splits"].items()
        }
        return Index(values["corpus"], values["sample_rate"], values["units"], splits)
    except FileNotFoundError:
        raise FoldError(f"{folder} holds no prepared corpus (no {INDEX_FILE}); run `fold prepare`") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FoldError(f"{path} is damaged ({error!r}); delete it and prepare the corpus again") from error


def write_shard(path: Path, utterances: Iterable[Utterance], sample_rate: int) -> Shard:
    """Write a tar and its sidecar, each all or nothing, the sidecar last: where it is, the tar is complete.

    The bytes depend on the utterances alone. All must have the stated sample rate, in Hz.

    Raises:
        FoldError: an id cannot name a WebDataset member.
    """
    rows = []
    with replacing(path) as stream, tarfile.open(fileobj=stream, mode="w", format=_TAR_FORMAT) as tar:
        for utterance in utterances:
            if not is_valid_id(utterance.id):
                raise FoldError(
                    f"utterance id '{utterance.id}' may hold letters, digits, - and _ only, 95 bytes at most"
                )
            audio = encode_flac(utterance.samples, sample_rate)
            meta = {
                "id": utterance.id,
                "text": utterance.text,
                "speaker": utterance.speaker,
                "seconds": round(len(utterance.samples) / sample_rate, 4),
            }
            encoded = json.dumps(meta, ensure_ascii=False).encode()
            audio_offset = _add(tar, f"{utterance.id}.flac", audio)
            meta_offset = _add(tar, f"{utterance.id}.json", encoded)
            place = (audio_offset, len(audio), meta_offset, len(encoded))
            rows.append((*place, zlib.crc32(encoded), len(utterance.samples), hash_id(utterance.id)))
    with replacing(sidecar_path(path)) as stream:
        np.save(stream, np.array(rows, dtype=SIDECAR_DTYPE), allow_pickle=False)
    return describe_shard(path, sample_rate)


def describe_shard(path: Path, sample_rate: int) -> Shard:
    """Return the index entry of a complete shard, from its files."""
    rows = read_sidecar(path)
    seconds = round(int(rows["num_samples"].sum()) / sample_rate, 3)
    files = [value for file in (path, sidecar_path(path)) for value in (file.stat().st_size, checksum(file))]
    return Shard(path.name, len(rows), seconds, *files)


def sidecar_path(shard: Path) -> Path:
    return shard.with_suffix(".npy")


def read_sidecar(shard: Path) -> np.ndarray:
    """Return the rows of a shard's sidecar, dtype `SIDECAR_DTYPE`, one per utterance in tar order.

    Raises:
        FoldError: the sidecar is missing or is none.
    """
    path = sidecar_path(shard)
    try:
        with path.open("rb") as stream:
            return load_sidecar(stream)
    except OSError as error:
        raise FoldError(f"{path} cannot be read as a shard's sidecar: {error}") from error


def load_sidecar(stream: IO[bytes]) -> np.ndarray:
    """Return the rows of an open sidecar; else as `read_sidecar`."""
    path = stream.name
    try:
        rows = np.load(stream, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FoldError(f"{path} cannot be read as a shard's sidecar: {error}") from error
    if rows.dtype != SIDECAR_DTYPE or rows.ndim != 1:
        raise FoldError(f"{path} is no shard's sidecar: rows of {rows.dtype}, expected {SIDECAR_DTYPE}")
    return rows


def hash_id(id: str) -> int:
    """Return the 64 bits that stand for an utterance id in a sidecar."""
    return int.from_bytes(hashlib.blake2b(id.encode(), digest_size=8).digest(), "little")


def encode_flac(samples: np.ndarray, sample_rate: int) -> bytes:
    """Encode mono samples in [-1, 1] as 16-bit FLAC; 16-bit input survives unchanged."""
    stream = io.BytesIO()
    pcm = np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)
    soundfile.write(stream, pcm, sample_rate, format="FLAC", subtype="PCM_16")
    return stream.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> int:
    """Append a member with a fixed header; return the offset of its content."""
    header = tarfile.TarInfo(name)
    header.size = len(content)
    offset = tar.offset + tarfile.BLOCKSIZE
    tar.addfile(header, io.BytesIO(content))
    return offset

"""The shard format: a WebDataset tar per few hundred utterances, a sidecar of offsets, an index of all.

A tar holds `<id>.flac` (16-bit) and `<id>.json` (id, text, speaker, seconds) per utterance and is readable by
any WebDataset reader. The sidecar `<shard>.npy` gives the place of every member, so that a reader can seek.
"""

import io
import json
import tarfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import soundfile

from fold.data.corpora.base import Utterance, is_valid_id
from fold.data.files import checksum, replacing, write_json
from fold.errors import FoldError

FORMAT = 1
INDEX_FILE = "index.json"
# One header block per member, whatever the name: offsets are known while writing.
_TAR_FORMAT = tarfile.USTAR_FORMAT

SIDECAR_DTYPE = np.dtype(
    [
        ("audio_offset", "<i8"),
        ("audio_bytes", "<i4"),
        ("meta_offset", "<i8"),
        ("meta_bytes", "<i4"),
        ("num_samples", "<i4"),
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


@dataclass(frozen=True)
class Split:
    utterances: int
    seconds: float
    shards: tuple[Shard, ...]

    @classmethod
    def of(cls, shards: Iterable[Shard]) -> "Split":
        shards = tuple(shards)
        return cls(sum(s.utterances for s in shards), round(sum(s.seconds for s in shards), 3), shards)


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
            name: Split(s["utterances"], s["seconds"], tuple(Shard(**shard) for shard in s["shards"]))
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
            rows.append((audio_offset, len(audio), meta_offset, len(encoded), len(utterance.samples)))
    with replacing(sidecar_path(path)) as stream:
        np.save(stream, np.array(rows, dtype=SIDECAR_DTYPE), allow_pickle=False)
    return describe_shard(path, sample_rate)


def describe_shard(path: Path, sample_rate: int) -> Shard:
    """Return the index entry of a complete shard, from its files."""
    rows = read_sidecar(path)
    seconds = round(int(rows["num_samples"].sum()) / sample_rate, 3)
    return Shard(path.name, len(rows), seconds, path.stat().st_size, checksum(path))


def sidecar_path(shard: Path) -> Path:
    return shard.with_suffix(".npy")


def read_sidecar(shard: Path) -> np.ndarray:
    """Return the rows of a shard's sidecar, dtype `SIDECAR_DTYPE`, one per utterance in tar order.

    Raises:
        FoldError: the sidecar is missing or is none.
    """
    path = sidecar_path(shard)
    try:
        rows = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FoldError(f"{path} cannot be read as a shard's sidecar: {error}") from error
    if rows.dtype != SIDECAR_DTYPE or rows.ndim != 1:
        raise FoldError(f"{path} is no shard's sidecar: rows of {rows.dtype}, expected {SIDECAR_DTYPE}")
    return rows


def read_member(file: IO[bytes], offset: int, size: int) -> bytes:
    """Return `size` bytes of an open shard from `offset` (a sidecar's audio or meta columns).

    Raises:
        FoldError: the file ends before.
    """
    file.seek(offset)
    content = file.read(size)
    if len(content) != size:
        raise FoldError(f"{file.name} is cut short: {size} bytes wanted at {offset}, {len(content)} there")
    return content


def encode_flac(samples: np.ndarray, sample_rate: int) -> bytes:
    """Encode mono samples in [-1, 1] as 16-bit FLAC; 16-bit input survives unchanged."""
    stream = io.BytesIO()
    pcm = np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)
    soundfile.write(stream, pcm, sample_rate, format="FLAC", subtype="PCM_16")
    return stream.getvalue()


def decode_flac(content: bytes) -> np.ndarray:
    """Decode a FLAC member: float32 samples in [-1, 1), shape (samples,)."""
    return soundfile.read(io.BytesIO(content), dtype="float32")[0]


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> int:
    """Append a member with a fixed header; return the offset of its content."""
    header = tarfile.TarInfo(name)
    header.size = len(content)
    offset = tar.offset + tarfile.BLOCKSIZE
    tar.addfile(header, io.BytesIO(content))
    return offset

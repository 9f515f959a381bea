"""The shard format: a WebDataset tar per few hundred utterances and a sidecar of offsets.

A tar holds `<id>.flac` (16-bit) and `<id>.json` (id, text, speaker, seconds) per utterance and is readable by
any WebDataset reader. The sidecar `<shard>.npy` gives the place of every member, so that a reader can seek.
"""

import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

import numpy as np
import soundfile

from fold.data.corpora.base import Utterance, is_valid_id
from fold.data.index import Shard
from fold.errors import FoldError
from fold.files import checksum, replacing

# One header block per member, whatever the name: offsets are known while writing.
TAR_FORMAT = tarfile.USTAR_FORMAT

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


def write_shard(path: Path, utterances: Iterable[Utterance], sample_rate: int) -> Shard:
    """Write a tar and its sidecar, each all or nothing, the sidecar last: where it is, the tar is complete.

    The bytes depend only on the utterances. All must have the stated sample rate, in Hz.

    Raises:
        FoldError: an id cannot name a WebDataset member.
    """
    rows = []
    with replacing(path) as stream, tarfile.open(fileobj=stream, mode="w", format=TAR_FORMAT) as tar:
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
            audio_offset = add_member(tar, f"{utterance.id}.flac", audio)
            meta_offset = add_member(tar, f"{utterance.id}.json", encoded)
            place = (audio_offset, len(audio), meta_offset, len(encoded))
            rows.append((*place, zlib.crc32(encoded), len(utterance.samples), hash_id(utterance.id)))
    write_sidecar(path, rows)
    return describe_shard(path, sample_rate)


def write_sidecar(shard: Path, rows: Sequence[tuple[int, ...]]) -> None:
    """Write the sidecar of a shard: rows as of `SIDECAR_DTYPE`."""
    with replacing(sidecar_path(shard)) as stream:
        np.save(stream, np.array(rows, dtype=SIDECAR_DTYPE), allow_pickle=False)


def describe_shard(path: Path, sample_rate: int) -> Shard:
    """Return the index entry of a complete shard, from its files."""
    rows = read_sidecar(path)
    seconds = round(int(rows["num_samples"].sum()) / sample_rate, 3)
    sidecar = sidecar_path(path)
    sizes = path.stat().st_size, sidecar.stat().st_size
    return Shard(path.name, len(rows), seconds, sizes[0], checksum(path), sizes[1], checksum(sidecar))


def is_there(path: Path, shard: Shard) -> bool:
    """Return whether a shard lies at `path` with its sidecar, both as long as they were written."""
    sizes = [file.stat().st_size if file.exists() else None for file in (path, sidecar_path(path))]
    return sizes == [shard.bytes, shard.sidecar_bytes]


def sidecar_path(shard: Path) -> Path:
    """Return the sidecar that belongs to a shard."""
    return shard.with_suffix(".npy")


def read_sidecar(shard: Path) -> np.ndarray:
    """Return the rows of a shard's sidecar, dtype `SIDECAR_DTYPE`, one per utterance in tar order.

    Raises:
        FoldError: the sidecar is missing or is none.
    """
    path = sidecar_path(shard)
    try:
        with path.open("rb") as stream:
            return load_sidecar(stream, str(path))
    except OSError as error:
        raise FoldError(f"{path} cannot be read as a shard's sidecar: {error}") from error


def load_sidecar(stream: IO[bytes], path: str) -> np.ndarray:
    """Return the rows of an open sidecar, which lies at `path`; else as `read_sidecar`."""
    try:
        rows: np.ndarray = np.load(stream, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FoldError(f"{path} cannot be read as a shard's sidecar: {error}") from error
    if rows.dtype != SIDECAR_DTYPE or rows.ndim != 1:
        raise FoldError(f"{path} is no shard's sidecar: rows of {rows.dtype}, expected {SIDECAR_DTYPE}")
    return rows


def read_samples(shard: Path, row: int) -> np.ndarray:
    """Return the samples of an utterance as they were encoded, shape (samples,), float32.

    Raises:
        FoldError: the shard is damaged.
    """
    samples: np.ndarray
    place = read_sidecar(shard)[row]
    try:
        with shard.open("rb") as stream:
            stream.seek(int(place["audio_offset"]))
            samples, _ = soundfile.read(io.BytesIO(stream.read(int(place["audio_bytes"]))), dtype="float32")
    except (OSError, soundfile.SoundFileError) as error:
        raise FoldError(f"{shard} is damaged ({error}); delete it and prepare the corpus again") from error
    return samples


def hash_id(id: str) -> int:
    """Return the 64 bits that stand for an utterance id in a sidecar."""
    return int.from_bytes(hashlib.blake2b(id.encode(), digest_size=8).digest(), "little")


def encode_flac(samples: np.ndarray, sample_rate: int) -> bytes:
    """Encode mono samples in [-1, 1] as 16-bit FLAC; 16-bit input survives unchanged."""
    stream = io.BytesIO()
    pcm = np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)
    soundfile.write(stream, pcm, sample_rate, format="FLAC", subtype="PCM_16")
    return stream.getvalue()


def add_member(tar: tarfile.TarFile, name: str, content: bytes) -> int:
    """Append a member with a fixed header; return the offset of its content."""
    header = tarfile.TarInfo(name)
    header.size = len(content)
    offset = tar.offset + tarfile.BLOCKSIZE
    tar.addfile(header, io.BytesIO(content))
    return offset

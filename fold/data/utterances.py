"""What the bytes of one utterance in a shard hold, checked: names, metadata, audio."""

from __future__ import annotations

import io
import json
import math
import tarfile
import zlib
from typing import NoReturn

import numpy as np
import soundfile
import torch

from fold.data.faults import BadUtterance, Fault
from fold.data.pointers import Pointer
from fold.data.shards import hash_id

FULL_SCALE = 32767 / 32768
MAX_CLIPPED_SHARE = 0.05  # of the samples, at full scale: what is left is noise


class Check:
    """Checks of one utterance, which know where it lies."""

    def __init__(self, shard: str, id: str) -> None:
        self.shard = shard
        self.id = id

    def that(self, condition: bool, reason: str, detail: str) -> None:
        """Raises BadUtterance unless the condition holds."""
        if not condition:
            self.fail(reason, detail)

    def fail(self, reason: str, detail: str) -> NoReturn:
        """Raises BadUtterance."""
        raise BadUtterance(Fault(reason, self.shard, self.id, detail))


def member_name(content: bytes, place: int) -> bytes:
    """Name of the tar member whose content begins at `place`: the first field of the header before it.

    The rest of the header says nothing that the sidecar does not.
    """
    start = place - tarfile.BLOCKSIZE
    return content[start : start + tarfile.LENGTH_NAME].rstrip(b"\0")


def parse_meta(content: bytes, row: np.void, check: Check) -> tuple[str, str, Pointer | None]:
    """Id and transcript out of a metadata member, and how its recording is read if that lies elsewhere."""
    check.that(zlib.crc32(content) == int(row["meta_crc"]), "damaged metadata", "its checksum differs")
    try:
        meta = json.loads(content.decode())
        id, text = meta["id"], meta["text"]
        pointer = Pointer.of(meta["recording"]) if "recording" in meta else None
        usable = isinstance(id, str) and isinstance(text, str)
    except (ValueError, KeyError, TypeError) as error:
        check.fail("damaged metadata", repr(error))
    check.that(usable, "damaged metadata", "id and text are not both strings")
    check.that(hash_id(id) == int(row["id_hash"]), "damaged metadata", f"id '{id}' is not the sidecar's")
    check.that(bool(text.strip()) or pointer is not None, "no transcript", "its text is empty")
    return id, text, pointer


def decode(content: bytes, sample_rate: int, num_samples: int, check: Check) -> np.ndarray:
    """Decodes audio: (num_samples,) float32 in [-1, 1)."""
    samples: np.ndarray
    try:
        samples, rate = soundfile.read(io.BytesIO(content), dtype="float32")
    except (soundfile.SoundFileError, OSError, ValueError) as error:
        check.fail("undecodable audio", str(error))
    check.that(rate == sample_rate, "wrong sample rate", f"{rate} Hz, expected {sample_rate}")
    check.that(samples.ndim == 1, "wrong channels", f"{samples.shape[-1]} channels, expected 1")
    check.that(len(samples) > 0, "no samples", "zero length")
    check.that(len(samples) == num_samples, "wrong duration", f"{len(samples)} samples, expected {num_samples}")
    check_samples(samples, check)
    return samples


def check_samples(samples: np.ndarray, check: Check) -> None:
    """Checks that samples are no noise."""
    lowest, highest = torch.from_numpy(samples).aminmax()  # NaN if a sample is
    peak = max(-lowest.item(), highest.item())
    check.that(math.isfinite(peak), "invalid samples", "NaN or infinite")
    if peak >= FULL_SCALE:
        clipped = np.count_nonzero(np.abs(samples) >= FULL_SCALE) / len(samples)
        check.that(bool(clipped <= MAX_CLIPPED_SHARE), "clipped audio", f"{clipped:.0%} of the samples at full scale")

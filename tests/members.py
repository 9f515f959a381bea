"""Members of a shard by their place, read plainly: what the tests compare the reader with."""

import io
from typing import IO

import numpy as np
import soundfile


def read_member(file: IO[bytes], offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)


def decode_flac(content: bytes) -> np.ndarray:
    return soundfile.read(io.BytesIO(content), dtype="float32")[0]

"""The microphone, where the package `sounddevice` is installed."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any

import numpy as np

from fold_device.errors import DeviceError

BLOCK_SECONDS = 0.1


def microphone(sample_rate: int) -> Iterator[np.ndarray]:
    """What the default microphone hears, without an end: blocks of float32 at a sample rate in Hz.

    Raises DeviceError if there is no microphone, or nothing to listen to it with.
    """
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: without the library PortAudio
        raise DeviceError(f"microphone: {error}; `pip install sounddevice`, and PortAudio, let it be heard") from None
    heard: queue.SimpleQueue[np.ndarray] = queue.SimpleQueue()

    def keep(block: np.ndarray, *_: Any) -> None:
        heard.put(block[:, 0].copy())

    options = {"samplerate": sample_rate, "channels": 1, "dtype": "float32"}
    try:
        with sounddevice.InputStream(**options, blocksize=round(BLOCK_SECONDS * sample_rate), callback=keep):
            while True:
                yield heard.get()
    except sounddevice.PortAudioError as error:
        raise DeviceError(f"microphone: {' '.join(str(error).split())}") from None

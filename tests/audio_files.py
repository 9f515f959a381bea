"""Audio files of every format that is claimed, and files that are not what they say."""

import io
import struct

import numpy as np
import soundfile

RATE = 16000
FORMATS = {
    "wav": ("WAV", "PCM_16"),
    "wav_24": ("WAV", "PCM_24"),
    "wav_float": ("WAV", "FLOAT"),
    "wav_ulaw": ("WAV", "ULAW"),
    "wav_gsm": ("WAV", "GSM610"),
    "wav_ms_adpcm": ("WAV", "MS_ADPCM"),
    "wav_ima_adpcm": ("WAV", "IMA_ADPCM"),
    "wavex": ("WAVEX", "PCM_16"),
    "rf64": ("RF64", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
    "au": ("AU", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
    "nist": ("NIST", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "vorbis": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}
"""Format and subtype of libsndfile, by name."""


def speech(seconds: float, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """Something like speech: tones in noise that change ten times a second, float32."""
    generator = np.random.default_rng(seed)
    syllables = generator.uniform(0, 0.4, (2, round(10 * seconds) + 1)).repeat(rate // 10, axis=1)[
        :, : round(seconds * rate)
    ]
    phase = np.cumsum(2 * np.pi * (100 + 2000 * syllables[0]) / rate)
    return (syllables[1] * np.sin(phase) + generator.normal(scale=0.01, size=phase.shape)).astype(np.float32)


def encoded(name: str, samples: np.ndarray, rate: int = RATE) -> bytes:
    """A whole file of a format of `FORMATS`."""
    container, subtype = FORMATS[name]
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=container, subtype=subtype)
    return stream.getvalue()


def without_length(mp3: bytes) -> bytes:
    """An MP3 file without the frame that tells how long it is, as streams have it."""
    place = max(mp3.find(b"Xing"), mp3.find(b"Info"))
    start = mp3.rfind(b"\xff", 0, place)
    bitrates = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)  # kbit/s of MPEG 2
    header = mp3[start : start + 4]
    rate = {0: 22050, 1: 24000, 2: 16000}[header[2] >> 2 & 3]
    return mp3[start + 72000 * bitrates[header[2] >> 4] // rate + (header[2] >> 1 & 1) :]


def with_data_size(wav: bytes, size: int) -> bytes:
    """A WAV file whose header tells of so many bytes of sound."""
    place = wav.index(b"data") + 4
    return wav[:place] + struct.pack("<I", size) + wav[place + 4 :]


def with_total(flac: bytes, total: int) -> bytes:
    """A FLAC file whose header tells of so many samples."""
    return flac[:21] + bytes([flac[21] & 0xF0]) + struct.pack(">I", total) + flac[26:]


def flipped(content: bytes, share: float) -> bytes:
    """With one bit turned over, at a share of its length."""
    changed = bytearray(content)
    changed[int(share * len(content))] ^= 0x10
    return bytes(changed)

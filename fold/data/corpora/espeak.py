"""Speech synthesis with espeak-ng, from the library inside the `espeakng-loader` wheel."""

import ctypes

import espeakng_loader
import numpy as np

from fold.errors import FoldError

# Values of espeak-ng's speak_lib.h.
_SYNCHRONOUS = 2
_CHARS_UTF8 = 1
_RATE, _PITCH, _RANGE = 1, 3, 4

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def synthesize(text: str, voice: str, *, rate: int, pitch: int, pitch_range: int, seed: int) -> tuple[np.ndarray, int]:
    """Speak a text, the same samples for the same arguments whatever was spoken before.

    espeak-ng keeps its phase, flutter and noise in static variables that no call resets, so the library is
    loaded anew for every text (some 5 ms). It serves one thread at a time.

    Args:
        text: what to say.
        voice: accent and variant, e.g. `en-us+f3`.
        rate: words per minute, 80 to 450.
        pitch, pitch_range: 0 to 99; 50 is the voice's own.
        seed: of the noise in breathy sounds.

    Returns:
        Samples as float32 in [-1, 1], shape (samples,), and their rate in Hz.

    Raises:
        FoldError: espeak-ng has no such voice, or cannot start.
    """
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    try:
        return _speak(library, text, voice, {_RATE: rate, _PITCH: pitch, _RANGE: pitch_range}, seed)
    finally:
        library.espeak_Terminate()
        _unload(library)


def _speak(
    library: ctypes.CDLL, text: str, voice: str, parameters: dict[int, int], seed: int
) -> tuple[np.ndarray, int]:
    chunks: list[bytes] = []

    def collect(samples: "ctypes._Pointer[ctypes.c_short]", count: int, events: int) -> int:
        if count > 0:
            chunks.append(ctypes.string_at(samples, 2 * count))
        return 0

    callback = _Callback(collect)  # held until all is spoken, which the library does not do

    sample_rate = library.espeak_Initialize(_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0)
    if sample_rate <= 0:
        raise FoldError("espeak-ng cannot start; reinstall the package espeakng-loader")
    library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise FoldError(f"espeak-ng has no voice '{voice}'")
    for parameter, value in parameters.items():
        library.espeak_SetParameter(parameter, value, 0)
    encoded = text.encode()
    library.espeak_Synth(encoded, ctypes.c_size_t(len(encoded) + 1), 0, 1, 0, _CHARS_UTF8, None, None)
    return np.frombuffer(b"".join(chunks), dtype=np.int16).astype(np.float32) / 32768, sample_rate


def _unload(library: ctypes.CDLL) -> None:
    process = ctypes.CDLL(None)
    process.dlclose.argtypes = [ctypes.c_void_p]
    process.dlclose(library._handle)

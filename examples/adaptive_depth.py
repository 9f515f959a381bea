"""Changes the depth between utterances: as deep as the machine's load allows.

    python examples/adaptive_depth.py MODEL a.wav b.wav ...

MODEL is a folder that `fold export --to onnx` wrote. The depth goes down by one when an utterance took more than its
share of the time, and up by one when it took less than half of it.
"""

import sys
import time

import fold_device

MOST = 0.05  # seconds of computing for a second of audio


def main(folder: str, files: list[str]) -> None:
    model = fold_device.load(folder)
    place = len(model.depths) - 1
    for file in files:
        depth, begun = model.depths[place], time.perf_counter()
        said = model.transcribe(file, depth=depth)
        load = (time.perf_counter() - begun) / max(said.seconds, 0.1)
        print(f"{file}\tdepth {depth}\treal-time factor {load:.4f}\t{said.text}")
        if load > MOST:
            place = max(place - 1, 0)
        elif load < MOST / 2:
            place = min(place + 1, len(model.depths) - 1)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])

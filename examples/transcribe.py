"""What a model says at each depth.

python examples/transcribe.py runs/conformer_fold/latest/checkpoints/last.ckpt a.wav b.flac
"""

import sys

import fold


def main(checkpoint: str, *files: str) -> None:
    model = fold.load(checkpoint)
    print(model)
    for file in files:
        print(f"\n{file}")
        for depth in model.depths:
            words = model.transcribe(file, depth, timestamps=True)
            print(f"  depth {depth}:", " ".join(f"{word.text} ({word.start:.2f}-{word.end:.2f} s)" for word in words))


if __name__ == "__main__":
    main(*sys.argv[1:])

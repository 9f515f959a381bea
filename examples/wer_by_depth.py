"""Word error rate by depth on recordings of your own, as a figure.

    python examples/wer_by_depth.py runs/conformer_fold/latest/checkpoints/last.ckpt list.tsv wer.png

A line of the list is an audio file, a tab, and what is said in it.
"""

import sys
from pathlib import Path

from matplotlib import pyplot
from torchmetrics.text import WordErrorRate

import fold


def main(checkpoint: str, listed: str, figure: str) -> None:
    model = fold.load(checkpoint)
    files, references = zip(*(line.split("\t") for line in Path(listed).read_text().splitlines()), strict=True)
    rates = []
    for depth in model.depths:
        rate = WordErrorRate()(model.transcribe(files, depth), references)
        rates.append(100 * float(rate))
        print(f"depth {depth}: {rates[-1]:.1f} % WER")

    pyplot.plot(model.depths, rates, marker="o")
    pyplot.xticks(model.depths)
    pyplot.xlabel("executed depth (layer calls)")
    pyplot.ylabel("WER (%)")
    pyplot.title(f"{len(files)} recordings")
    pyplot.savefig(figure)


if __name__ == "__main__":
    main(*sys.argv[1:])

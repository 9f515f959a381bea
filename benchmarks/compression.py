"""What compressed foundation models store and compute, at the size at which they are published.

    python -m benchmarks.compression

Parameters are those of recognisers with a CTC head of 32 units; multiply-accumulates for a second of audio are counted
as the models run, with random weights.
"""

from __future__ import annotations

import argparse

from tqdm import tqdm

from fold.evaluation.macs import SECONDS, count_macs
from fold.models import Foundation
from fold.models.foundation import Shape
from fold.paths import PathSpace

UNITS, SAMPLE_RATE = 32, 16000
NARROW = Shape(family="hubert", dim=384, num_heads=6, ffn_dim=1536)
MODELS = {
    "HuBERT base": (Foundation(shape="HUBERT_BASE", masking=None), (12,)),
    "its 8 layers folded": (Foundation(shape="HUBERT_BASE", num_layers=8, masking=None), (8, 10, 12)),
    "DistilHuBERT": (
        Foundation(shape=Shape(family="hubert", num_layers=2, projection_norm=False), masking=None),
        (2,),
    ),
    "LightHuBERT small, thin student of 384 features": (Foundation(shape=NARROW, masking=None), (12,)),
}


def table() -> list[str]:
    """Lines of a table in Markdown."""
    lines = ["| model | depth | parameters | GMACs per s |", "|---|---:|---:|---:|"]
    for name, (network, depths) in tqdm(MODELS.items(), leave=False, disable=None):
        model, space = network.build(UNITS, SAMPLE_RATE).eval(), PathSpace(network.num_layers, max_repeats=2)
        for depth in depths:
            billions = count_macs(model, SECONDS * SAMPLE_RATE, space.canonical(depth)) / SECONDS / 1e9
            first = depth == depths[0]
            facts = (name, f"{model.num_parameters():,}") if first else ("", "")
            lines.append(f"| {facts[0]} | {depth} | {facts[1]} | {billions:.2f} |")
    return lines


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print("\n".join(table()))

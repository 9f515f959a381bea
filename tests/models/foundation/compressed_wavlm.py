"""A small checkpoint of DPWavLM, with the network of torchaudio that it must equal; all kinds of compressed models."""

from __future__ import annotations

from pathlib import Path

import torch
from models.foundation.compressed import (
    Compressed,
    distilhubert,
    dphubert,
    lighthubert,
    pruned,
    shaken,
    shape_of_pruned,
    thin,
)
from torch import Tensor
from torchaudio.models import Wav2Vec2Model, wavlm_model

HEADS, HEAD_DIM, INNER = 4, 8, 48
STAY = [[0, 2, 3], [], [3]]  # of the heads of each layer
FEATURES = [20, 31, 0]


def dpwavlm(folder: Path, large: bool = False) -> Compressed:
    """Layers whose first, middle and last heads went, without attention, without feed-forward.

    The reference is torchaudio's unpruned network, in which what was pruned adds nothing.
    """
    shape = shape_of_pruned(large) | {"encoder_num_buckets": 16, "encoder_max_distance": 40}
    dense = shaken(wavlm_model(**shape, encoder_num_heads=HEADS, encoder_ff_interm_features=INNER))
    state = {name: weight.clone() for name, weight in dense.state_dict().items()}
    for place, (stay, inner) in enumerate(zip(STAY, FEATURES, strict=True)):
        start = f"encoder.transformer.layers.{place}."
        kept = torch.tensor([head * HEAD_DIM + n for head in stay for n in range(HEAD_DIM)], dtype=torch.long)
        _prune_attention(dense, state, start + "attention.", kept)
        _prune_feed_forward(dense, state, start + "feed_forward.", inner)
    config = {"encoder_total_num_heads": [HEADS] * 3, "encoder_remaining_heads": STAY}
    return pruned(folder, dense, state, shape | config)


@torch.no_grad()
def _prune_attention(dense: Wav2Vec2Model, state: dict[str, Tensor], start: str, kept: Tensor) -> None:
    """Keeps these features of all heads; torchaudio joins query, key and value, DPHuBERT does not."""
    own = {key: state.pop(key) for key in list(state) if key.startswith(start)}
    attention = dense.get_submodule(start.removesuffix("."))
    output = attention.attention.out_proj
    output.weight[:, [n for n in range(HEADS * HEAD_DIM) if n not in kept]] = 0
    if not len(kept):
        output.bias.zero_()
        return
    for kind in ("weight", "bias"):
        joined = own[f"{start}attention.in_proj_{kind}"].chunk(3)
        state |= {f"{start}{part}_proj.{kind}": of[kept].clone() for part, of in zip("qkv", joined, strict=True)}
    state[f"{start}out_proj.weight"] = own[f"{start}attention.out_proj.weight"][:, kept].clone()
    state[f"{start}out_proj.bias"] = own[f"{start}attention.out_proj.bias"]
    state |= {key: weight for key, weight in own.items() if "gru_" in key or "rel_attn" in key}


@torch.no_grad()
def _prune_feed_forward(dense: Wav2Vec2Model, state: dict[str, Tensor], start: str, inner: int) -> None:
    """Keeps the first features."""
    output = dense.get_submodule(start + "output_dense")
    output.weight[:, inner:] = 0
    if not inner:
        output.bias.zero_()
        for key in [key for key in state if key.startswith(start)]:
            del state[key]
        return
    for kind in ("weight", "bias"):
        state[f"{start}intermediate_dense.{kind}"] = state[f"{start}intermediate_dense.{kind}"][:inner].clone()
    state[f"{start}output_dense.weight"] = state[f"{start}output_dense.weight"][:, :inner].clone()


KINDS = {
    "DistilHuBERT, 2 layers": distilhubert,
    "thin student, 12 layers": thin,
    "DPHuBERT": dphubert,
    "DPHuBERT, of a large model": lambda folder: dphubert(folder, large=True),
    "DPWavLM": dpwavlm,
    "DPWavLM, of a large model": lambda folder: dpwavlm(folder, large=True),
    "LightHuBERT, a subnet": lighthubert,
    "LightHuBERT, norms as in a large model": lambda folder: lighthubert(folder, large=True),
}

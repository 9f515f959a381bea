"""Small checkpoints of compressed models in the layouts in which their authors publish them, each with the network of
another library that it must equal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import transformers
from models.foundation.directories import SMALL, random_model
from torch import Tensor, nn
from torchaudio.models import Wav2Vec2Model, wav2vec2_model

from fold.models import Foundation
from fold.models.foundation import Subnet

SUBNET = Subnet(256, ffn_dim=896, num_layers=10)
STAY = [0, 1, 2, 3, 4, 5, 6, 8, 9, 10]  # its layers among the 12
WHOLE, GROUPS, KERNEL = 384, 4, 8  # features of the largest network, and its positions
KERNELS, STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)  # frames of 20 ms, as published
FRAMES = {
    "conv_dim": [16] * 7,
    "conv_kernel": list(KERNELS),
    "conv_stride": list(STRIDES),
    "num_feat_extract_layers": 7,
}
GATE = torch.tensor([1.0] * 12 + [0.5, 0.25])


@dataclass(frozen=True)
class Compressed:
    """network: that reads the checkpoint; encode: utterances, (samples,) each, to (frames, dim) each, by the reference
    with its layers in the order of these numbers."""

    network: Foundation
    encode: Callable[[Sequence[Tensor], Sequence[int]], list[Tensor]]


def distilhubert(folder: Path) -> Compressed:
    """As ntu-spml/distilhubert: two layers, no norm before the projection, no head, no masking."""
    changes = {"num_hidden_layers": 2, "feat_proj_layer_norm": False, "apply_spec_augment": False}
    return _directory(folder, changes)


def thin(folder: Path) -> Compressed:
    """As many layers as the base model has, half as wide."""
    return _directory(folder, {"num_hidden_layers": 12, "hidden_size": 16, "intermediate_size": 24})


def _directory(folder: Path, changes: dict[str, object]) -> Compressed:
    model = random_model("hubert-base", "Model", **{**FRAMES, **changes})
    model.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")  # as published
    (folder / "model.safetensors").unlink()
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=False)
    extractor.save_pretrained(folder)
    layers = list(model.encoder.layers)

    @torch.no_grad()
    def encode(utterances: Sequence[Tensor], order: Sequence[int]) -> list[Tensor]:
        model.encoder.layers = nn.ModuleList(layers[place] for place in order)
        return [model(utterance[None]).last_hidden_state[0] for utterance in utterances]

    return Compressed(Foundation(source=str(folder)), encode)


def dphubert(folder: Path, large: bool = False) -> Compressed:
    """Layers with 3 heads, without attention, without feed-forward.

    The reference is torchaudio's unpruned network, in which what was pruned adds nothing.
    """
    heads, features = [3, 0, 2], [20, 31, 0]
    shape = shape_of_pruned(large)
    dense = shaken(wav2vec2_model(**shape, encoder_num_heads=4, encoder_ff_interm_features=48))
    state = {name: weight.clone() for name, weight in dense.state_dict().items()}
    for place, (left, inner) in enumerate(zip(heads, features, strict=True)):
        _prune_layer(dense, state, f"encoder.transformer.layers.{place}.", left * 8, inner)
    config = {"encoder_num_heads": heads, "encoder_head_dim": 8}
    return pruned(folder, dense, state, shape | config)


def shape_of_pruned(large: bool) -> dict[str, object]:
    """Of a small network before pruning, as torchaudio takes it; large: with the norms of a large model."""
    return {
        "extractor_mode": "layer_norm" if large else "group_norm",
        "extractor_conv_layer_config": list(zip((16, 12, 15, 11, 16, 9, 14), KERNELS, STRIDES, strict=True)),
        "extractor_conv_bias": large,
        "encoder_embed_dim": 32,
        "encoder_projection_dropout": 0.1,
        "encoder_pos_conv_kernel": 8,
        "encoder_pos_conv_groups": 4,
        "encoder_num_layers": 3,
        "encoder_attention_dropout": 0.1,
        "encoder_ff_interm_dropout": 0.0,
        "encoder_dropout": 0.1,
        "encoder_layer_norm_first": large,
        "encoder_layer_drop": 0.05,
        "aux_num_out": None,
    }


def shaken(model: Wav2Vec2Model) -> Wav2Vec2Model:
    """The model, with random weights everywhere."""
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def pruned(folder: Path, dense: Wav2Vec2Model, state: dict[str, Tensor], config: dict[str, object]) -> Compressed:
    """The checkpoint of a network in which attention of the second layer and feed-forward of the third are pruned, and
    the network itself."""
    large = bool(config["encoder_layer_norm_first"])
    for old, new in (
        (".parametrizations.weight.original0", ".weight_g"),
        (".parametrizations.weight.original1", ".weight_v"),
    ):
        state = {name.replace(old, new): weight for name, weight in state.items()}  # PyTorch 1.13
    state["feature_extractor.dummy_weight"] = GATE
    config = config | {
        "encoder_use_attention": [True, False, True],
        "encoder_use_feed_forward": [True, True, False],
        "encoder_ff_interm_features": [20, 31, 48],  # of what is gone, as before
        "normalize_waveform": large,
        "extractor_prune_conv_channels": False,
        "encoder_prune_attention_heads": False,
    }
    projections = {"0.weight": torch.randn(3, 3)}
    torch.save({"state_dict": state, "config": config, "distill_linear_projs": projections}, folder / "pruned.pth")
    dense.feature_extractor.register_forward_hook(lambda module, inputs, output: (output[0] * GATE, output[1]))
    layers = list(dense.encoder.transformer.layers)

    @torch.no_grad()
    def encode(utterances: Sequence[Tensor], order: Sequence[int]) -> list[Tensor]:
        dense.encoder.transformer.layers = nn.ModuleList(layers[place] for place in order)
        given = [nn.functional.layer_norm(u, u.shape) if large else u for u in utterances]
        return [dense(utterance[None])[0][0] for utterance in given]

    return Compressed(Foundation(source=str(folder / "pruned.pth")), encode)


@torch.no_grad()
def _prune_layer(dense: Wav2Vec2Model, state: dict[str, Tensor], start: str, left: int, inner: int) -> None:
    """Keeps `left` features of all heads and `inner` of the feed-forward module in `state`; the others no longer add
    anything in the dense network."""
    for part, name, size in (("attention.", "out_proj", left), ("feed_forward.", "output_dense", inner)):
        output = dense.get_submodule(start + part + name)
        output.weight[:, size:] = 0
        if not size:
            output.bias.zero_()
        for key in [key for key in state if key.startswith(start + part)]:
            if not size:
                del state[key]
            elif key.endswith(f"{name}.weight"):
                state[key] = state[key][:, :size].clone()
            elif not key.endswith(f"{name}.bias"):
                state[key] = state[key][:size].clone()


def lighthubert(folder: Path, large: bool = False) -> Compressed:
    """A network of 384 features whose parts are, at the places of a subnet of 256, a HuBERT of transformers."""
    shape = {"hidden_size": 256, "intermediate_size": 896, "num_hidden_layers": 10, "num_attention_heads": 4}
    hubert = random_model("hubert-large" if large else "hubert-base", "Model", **{**SMALL, **FRAMES, **shape})
    small = {name: weight.clone() for name, weight in hubert.state_dict().items()}
    model = {"label_embs_concat": torch.randn(4, 3), "final_proj.weight": torch.randn(3, 3)}
    for index in range(7):
        start = f"feature_extractor.conv_layers.{index}."
        for name, weight in small.items():
            if name.startswith(start):
                norm = "2.1." if large else "2."
                model[name.replace(".conv.", ".0.").replace("layer_norm.", norm)] = weight
    for kind in ("weight", "bias"):
        model[f"layer_norm.{kind}"] = small[f"feature_projection.layer_norm.{kind}"]
        model[f"post_extract_proj.{kind}"] = within(small[f"feature_projection.projection.{kind}"], WHOLE)
        model[f"encoder.layer_norm.{kind}"] = within(small[f"encoder.layer_norm.{kind}"], WHOLE)
    model["mask_emb"] = torch.randn(WHOLE)
    model["encoder.pos_conv.0.bias"] = within(small["encoder.pos_conv_embed.conv.bias"], WHOLE)
    positions = within(hubert.encoder.pos_conv_embed.conv.weight.detach(), WHOLE, WHOLE // GROUPS)
    model["encoder.pos_conv.0.weight_g"] = positions.norm(dim=(0, 1), keepdim=True)
    model["encoder.pos_conv.0.weight_v"] = 3 * positions
    for place in range(12):
        model |= _layer(small, STAY.index(place) if place in STAY else 0, f"encoder.layers.{place}.")
    changes = {"extractor_mode": "layer_norm", "conv_bias": True, "layer_norm_first": True} if large else {}
    write_light(folder, {name: weight.clone() for name, weight in model.items()}, **changes)
    layers = list(hubert.encoder.layers)

    @torch.no_grad()
    def encode(utterances: Sequence[Tensor], order: Sequence[int]) -> list[Tensor]:
        hubert.encoder.layers = nn.ModuleList(layers[place] for place in order)
        return [hubert(utterance[None]).last_hidden_state[0] for utterance in utterances]

    return Compressed(Foundation(source=str(folder / "light.pt"), subnet=SUBNET), encode)


def write_light(folder: Path, model: dict[str, Tensor], **changes: object) -> Path:
    """A checkpoint of LightHuBERT with these weights; changes: of its settings."""
    settings = {
        "_name": "hubert_pruner",
        "pruner_supernet": "config/supernet/Supernet-Small.yaml",
        "extractor_mode": "default",
        "encoder_embed_dim": WHOLE,
        "encoder_ffn_embed_dim": 4 * WHOLE,
        "conv_feature_layers": "[(16,10,5)] + [(16,3,2)] * 4 + [(16,2,2)] * 2",
        "conv_pos": KERNEL,
        "conv_pos_groups": GROUPS,
        "dropout": 0.1,
    }
    cfg = {"model": {**settings, **changes}, "task": {"normalize": False}}
    torch.save({"cfg": cfg, "model": model}, folder / "light.pt")
    return folder / "light.pt"


def _layer(small: dict[str, Tensor], place: int, start: str) -> dict[str, Tensor]:
    """The weights of a layer, at their places among others."""
    own = f"encoder.layers.{place}."
    found = {}
    for kind in ("weight", "bias"):
        sides = (WHOLE, WHOLE) if kind == "weight" else (WHOLE,)
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            found[f"self_attn.{name}.{kind}"] = within(small[f"{own}attention.{name}.{kind}"], *sides)
        found[f"self_attn_layer_norm.{kind}"] = within(small[f"{own}layer_norm.{kind}"], WHOLE)
        found[f"final_layer_norm.{kind}"] = within(small[f"{own}final_layer_norm.{kind}"], WHOLE)
    # The inner features lie in four blocks, of each of which a subnet has the first ones: here 256, 256, 256 and 128.
    inner = [block * WHOLE + feature for block in range(4) for feature in range(256)][:896]
    first, second = torch.randn(4 * WHOLE, WHOLE), torch.randn(WHOLE, 4 * WHOLE)
    first[inner, :256] = small[f"{own}feed_forward.intermediate_dense.weight"]
    second[:256, inner] = small[f"{own}feed_forward.output_dense.weight"]
    bias = torch.randn(4 * WHOLE)
    bias[inner] = small[f"{own}feed_forward.intermediate_dense.bias"]
    found |= {"fc1.weight": first, "fc1.bias": bias, "fc2.weight": second}
    found["fc2.bias"] = within(small[f"{own}feed_forward.output_dense.bias"], WHOLE)
    return {start + name: weight for name, weight in found.items()}


def within(weight: Tensor, *sides: int) -> Tensor:
    """A larger tensor of random numbers that begins with a weight; sides: its first dimensions."""
    larger = torch.randn(*sides, *weight.shape[len(sides) :])
    larger[tuple(slice(size) for size in weight.shape)] = weight
    return larger

"""Structured pruning of a trained foundation model: heads and inner features that matter least go, layers stay.

    python -m studies.pruning --ckpt_path runs/.../last.ckpt --parameters 1217693 --output pruned.pth
    fold fit --config wav2vec2_small_compact --model.network.source=pruned.pth --model.network.num_layers=null

What a head or feature matters is the mean over batches of training speech of |d loss / d gate|, were its output
multiplied by a gate of 1: the first-order Taylor estimate of what the loss would gain without it (Molchanov et al.,
2017, arXiv 1611.06440; Michel et al., 2019, arXiv 1905.10650). The same share of heads and of features goes, from
whatever layers. The result is a checkpoint in the layout of DPHuBERT, with the CTC head, and is fine-tuned as any other
source.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchaudio.models.wav2vec2.components import FeedForward, SelfAttention

from fold import checkpoint
from fold.checkpoint import Description
from fold.data.batching import Batch, as_it_is
from fold.data.cache import ShardCache
from fold.data.location import Location
from fold.data.plans import EvalPlan
from fold.data.stream import ShardedSpeech
from fold.errors import FoldError
from fold.losses import Targets, ctc_losses
from fold.models import Foundation, Recogniser
from fold.models.foundation.bundles import DROPOUTS, torchaudio_name
from fold.models.foundation.families.pruned import PrunedShape
from fold.models.foundation.shape import Shape
from fold.paths import PathSpace

BATCH_SECONDS = 50.0


@dataclass(frozen=True)
class Group:
    """The heads of a layer's attention, or the inner features of its feed-forward module.

    inner: linear layers whose rows they own; outer: whose columns they own; size: rows of each of them.
    """

    inner: Sequence[nn.Linear]
    outer: nn.Linear
    size: int

    @property
    def number(self) -> int:
        return self.outer.in_features // self.size

    @property
    def cost(self) -> int:
        """Parameters of one."""
        rows = sum(linear.in_features + 1 for linear in self.inner)
        return self.size * (rows + self.outer.out_features)

    def gates(self) -> Tensor:
        """d loss / d gate of each, of the gradients at hand."""
        weight = self.outer.weight
        assert weight.grad is not None
        return (weight * weight.grad).sum(0).view(self.number, self.size).sum(1)


def groups_of(model: Recogniser) -> list[Group]:
    """Two of each layer: attention, feed-forward. Raises FoldError for layers other than wav2vec 2.0's."""
    groups = []
    for layer in model.unfolding.layers:
        block = getattr(layer, "block", None)
        attention, forward = getattr(block, "attention", None), getattr(block, "feed_forward", None)
        if (
            not isinstance(attention, SelfAttention)
            or not isinstance(forward, FeedForward)
            or layer.adapter is not None
        ):
            raise FoldError("pruning: only wav2vec 2.0, HuBERT and UniSpeech without adapters can be pruned")
        inner = (attention.q_proj, attention.k_proj, attention.v_proj)
        groups.append(Group(inner, attention.out_proj, attention.head_dim))
        groups.append(Group((forward.intermediate_dense,), forward.output_dense, 1))
    return groups


def importance(model: Recogniser, batches: Iterable[Batch]) -> list[Tensor]:
    """For each of `groups_of`, what its heads or features matter, summed over batches. The model is in eval mode."""
    groups = groups_of(model)
    totals = [torch.zeros(group.number) for group in groups]
    seed = PathSpace(len(model.unfolding.layers), 1).seed
    for batch in batches:
        model.zero_grad()
        output = model(batch.waveforms, batch.num_samples, [seed])
        ctc_losses(output.ctc_log_probs[0], output.num_frames, Targets(batch.units, batch.num_units)).sum().backward()
        for total, group in zip(totals, groups, strict=True):
            total += group.gates().detach().abs()
    model.zero_grad()
    return totals


def kept(groups: Sequence[Group], scores: Sequence[Tensor], parameters: int, budget: int) -> list[Tensor]:
    """Which heads or features of each group stay, as sorted indices: of all heads and of all features those that matter
    least go, the same share of both, until the model, of `parameters`, has at most `budget`.

    Raises FoldError if it still has more without any.
    """
    leaving: list[tuple[float, int, int]] = []  # share of its kind that is gone with it, place of the group, index
    for kind in range(2):  # attention, feed-forward
        places = range(kind, len(groups), 2)
        ranked = sorted((float(score), place, index) for place in places for index, score in enumerate(scores[place]))
        leaving += [((n + 1) / len(ranked), place, index) for n, (_, place, index) in enumerate(ranked)]
    stays = [set(range(group.number)) for group in groups]
    for _, place, index in sorted(leaving):
        if parameters <= budget:
            break
        stays[place].remove(index)
        parameters -= groups[place].cost
    if parameters > budget:
        raise FoldError(
            f"pruning: {budget:,} parameters cannot be reached: without heads and features {parameters:,} stay"
        )
    return [torch.tensor(sorted(indices), dtype=torch.long) for indices in stays]


def pruned(model: Recogniser, description: Description, stays: Sequence[Tensor]) -> dict[str, Any]:
    """The checkpoint, in the layout of DPHuBERT, in which these heads and features stay (as of `kept`)."""
    rows: dict[int, Tensor] = {}  # of linear layers, by the identity of their weights
    columns: dict[int, Tensor] = {}
    gone: set[int] = set()
    for group, indices in zip(groups_of(model), stays, strict=True):
        wanted = (indices[:, None] * group.size + torch.arange(group.size)).flatten()
        for linear in group.inner:
            rows |= {id(linear.weight): wanted, id(linear.bias): wanted}
        columns[id(group.outer.weight)] = wanted
        if not len(indices):
            gone.update(id(p) for linear in (*group.inner, group.outer) for p in linear.parameters())
    state = {}
    parameters = dict(model.named_parameters(remove_duplicate=False))
    for name, weight in model.state_dict().items():
        own = id(parameters.get(name))
        if own in gone:
            continue
        cut = weight if own not in rows else weight.index_select(0, rows[own])
        cut = cut if own not in columns else cut.index_select(1, columns[own])
        state[torchaudio_name(name)] = cut.clone()
    network = description.architecture
    assert isinstance(network, Foundation)
    state["feature_extractor.dummy_weight"] = torch.ones(network.original.conv_channels[-1])
    return {"config": _config(network, stays), "state_dict": state, "labels": list(description.units.symbols)}


def _config(network: Foundation, stays: Sequence[Tensor]) -> dict[str, Any]:
    shape = network.original
    assert isinstance(shape, Shape) and not isinstance(shape, PrunedShape)
    heads, features = ([len(indices) for indices in stays[first::2]] for first in (0, 1))
    return {
        "extractor_mode": f"{shape.conv_norm}_norm",
        "extractor_conv_layer_config": list(
            zip(shape.conv_channels, shape.conv_kernels, shape.conv_strides, strict=True)
        ),
        "extractor_conv_bias": shape.conv_bias,
        "encoder_embed_dim": shape.dim,
        "encoder_pos_conv_kernel": shape.position_kernel,
        "encoder_pos_conv_groups": shape.position_groups,
        "encoder_num_layers": len(heads),
        "encoder_use_attention": [number > 0 for number in heads],
        "encoder_use_feed_forward": [number > 0 for number in features],
        "encoder_num_heads": heads,
        "encoder_head_dim": shape.dim // shape.num_heads,
        "encoder_ff_interm_features": features,
        "encoder_layer_norm_first": shape.pre_norm,
        "normalize_waveform": shape.normalise,
        **{name: getattr(network.dropouts, field) for field, name in DROPOUTS.items()},
    }


def training_batches(description: Description, shards: str | None, number: int) -> Iterable[Batch]:
    """Batches of the training speech, short and long. shards: where the corpus lies, None for where it was before."""
    location = Location.of(shards or description.shards, ShardCache(Path("shards/cache"), 50 * 10**9))
    split = location.index().splits["train"]
    data = ShardedSpeech(location, split, description.sample_rate, description.units)
    chosen = split.shards_of(tuple(split.subsets))
    plan = EvalPlan(data.lengths(), chosen, round(BATCH_SECONDS * description.sample_rate))
    some = plan.batches[:: max(1, len(plan) // number)][:number]  # they lie in the order of lengths
    return DataLoader(data, sampler=some, batch_size=None, collate_fn=as_it_is)


def prune(ckpt_path: str, parameters: int, batches: int = 50, shards: str | None = None) -> dict[str, Any]:
    """The checkpoint of a pruned model, in the layout of DPHuBERT.

    ckpt_path: of `fold fit`; parameters: the most that stay, with the head; batches: of training speech.
    """
    model, description = checkpoint.load(ckpt_path)
    scores = importance(model, training_batches(description, shards, batches))
    return pruned(model, description, kept(groups_of(model), scores, model.num_parameters(), parameters))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ckpt_path", required=True, help="a checkpoint of `fold fit`")
    parser.add_argument("--parameters", type=int, required=True, help="the most that stay, with the CTC head")
    parser.add_argument("--output", required=True, help="the file to write")
    parser.add_argument("--batches", type=int, default=50, help="of training speech, 50 s each")
    parser.add_argument("--shards", help="where the prepared corpus lies (default: where it was in training)")
    options = parser.parse_args()
    content = prune(options.ckpt_path, options.parameters, options.batches, options.shards)
    torch.save(content, options.output)
    heads, features = (content["config"][f"encoder_{name}"] for name in ("num_heads", "ff_interm_features"))
    print(f"{options.output}: heads {heads}, inner features {features}")


if __name__ == "__main__":
    main()

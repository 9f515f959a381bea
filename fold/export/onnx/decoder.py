"""The attention decoder of a hybrid model as it is exported: what comes after each prefix, given the encoded frames."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from fold.modules.attention import sinusoids
from fold.modules.decoder import AttentionDecoder
from fold.modules.masks import length_mask


class PrefixDecoder(nn.Module):
    """An `AttentionDecoder` as runtimes hold it: each projection a matrix of its own.

    decoder: to equal, without dropout.
    """

    def __init__(self, decoder: AttentionDecoder) -> None:
        super().__init__()
        self.embedding, self.final_norm, self.output = decoder.embedding, decoder.final_norm, decoder.output
        kinds = [layer for layer in decoder.layers if isinstance(layer, nn.TransformerDecoderLayer)]
        self.layers = nn.ModuleList(DecoderLayer(layer) for layer in kinds)

    def forward(self, prefixes: Tensor, encoded: Tensor, num_frames: Tensor) -> Tensor:
        """prefixes: (batch, length) units, the first of each <sos/eos>; encoded: (batch, frames, dim), of the encoder;
        num_frames: (batch,). Returns log-probabilities of the next unit after each prefix, (batch, length, units)."""
        length, dim = prefixes.shape[1], encoded.shape[2]
        positions = torch.arange(length)
        x = self.embedding(prefixes) * math.sqrt(dim) + sinusoids(positions, dim)
        future = _kept_out(positions[None] > positions[:, None])
        padding = _kept_out(~length_mask(num_frames, encoded.shape[1], encoded.device))[:, None, None]
        for layer in self.layers:
            x = layer(x, future, encoded, padding)
        log_probs: Tensor = self.output(self.final_norm(x)).log_softmax(-1)
        return log_probs


class DecoderLayer(nn.Module):
    """layer: pre-norm, to equal."""

    def __init__(self, layer: nn.TransformerDecoderLayer) -> None:
        super().__init__()
        self.own, self.of_frames = Attention(layer.self_attn), Attention(layer.multihead_attn)
        self.norms = nn.ModuleList([layer.norm1, layer.norm2, layer.norm3])
        self.feed_forward = nn.Sequential(layer.linear1, nn.ReLU(), layer.linear2)

    def forward(self, x: Tensor, future: Tensor, encoded: Tensor, padding: Tensor) -> Tensor:
        """x: (batch, length, dim); encoded: (batch, frames, dim); both masks: added to scores."""
        normed = self.norms[0](x)
        x = x + self.own(normed, normed, future)
        x = x + self.of_frames(self.norms[1](x), encoded, padding)
        changed: Tensor = x + self.feed_forward(self.norms[2](x))
        return changed


class Attention(nn.Module):
    """original: to equal; its queries, keys and values are projected by one matrix, cut here into three."""

    def __init__(self, original: nn.MultiheadAttention) -> None:
        super().__init__()
        self.num_heads, dim = original.num_heads, original.embed_dim
        weights, biases = original.in_proj_weight.detach().split(dim), original.in_proj_bias.detach().split(dim)
        self.projections = nn.ModuleList(nn.Linear(dim, dim) for _ in range(3))
        for projection, weight, bias in zip(self.projections, weights, biases, strict=True):
            projection.weight, projection.bias = nn.Parameter(weight), nn.Parameter(bias)
        self.output = original.out_proj

    def forward(self, x: Tensor, seen: Tensor, mask: Tensor) -> Tensor:
        """x: (batch, length, dim), which attends to `seen`, (batch, time, dim). Returns x's shape."""
        query, key, value = (
            projection(of).unflatten(2, (self.num_heads, -1)).transpose(1, 2)
            for projection, of in zip(self.projections, (x, seen, seen), strict=True)
        )
        scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[3]) + mask
        attended: Tensor = self.output((scores.softmax(-1) @ value).transpose(1, 2).flatten(2))
        return attended


def _kept_out(where: Tensor) -> Tensor:
    """A mask to add to scores. Not of -inf: where no frame counts at all, none of it would be a number."""
    return torch.zeros_like(where, dtype=torch.float32).masked_fill(where, torch.finfo(torch.float32).min)

"""Attention decoder of the hybrid CTC/attention form. A decoder is never unfolded: its layers are all physical."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fold.modules.attention import sinusoids


@dataclass(frozen=True)
class DecoderCache:
    """Keys and values that the next step attends to, of a batch of utterances with as many hypotheses each.

    encoded: of an utterance's frames, shared by its hypotheses, a tensor a layer: (2, batch, heads, time, dim / heads);
    mask: (batch, 1, 1, time), added to scores: 0 at the frames that count, -inf at others;
    tokens: of the tokens so far, a tensor a layer: (2, batch * hypotheses, heads, length, dim / heads).
    """

    encoded: tuple[Tensor, ...]
    mask: Tensor
    tokens: tuple[Tensor, ...]

    def follow(self, parents: Tensor) -> DecoderCache:
        """The cache of new hypotheses that go on from these. parents: (batch, new hypotheses), indices of the old."""
        batch = len(parents)
        first = torch.arange(batch, device=parents.device)[:, None] * (self.tokens[0].shape[1] // batch)
        rows = (first + parents).flatten()
        return DecoderCache(self.encoded, self.mask, tuple(tokens.index_select(1, rows) for tokens in self.tokens))


class AttentionDecoder(nn.Module):
    """A pre-norm Transformer decoder over units, with sinusoidal positions (ESPnet's TransformerDecoder shape)."""

    def __init__(
        self, vocab_size: int, dim: int, num_layers: int, num_heads: int, ffn_dim: int, dropout: float
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, dim)
        # Not nn.TransformerDecoder: it copies one layer, so that all would start with equal weights.
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(dim, num_heads, ffn_dim, dropout, batch_first=True, norm_first=True)
            for _ in range(num_layers)
        )
        self.final_norm = nn.LayerNorm(dim)
        self.output = nn.Linear(dim, vocab_size)
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.embedding.weight, std=dim**-0.5)

    def forward(self, tokens: Tensor, memory: Tensor, memory_mask: Tensor) -> Tensor:
        """Next-unit logits after every prefix of `tokens`.

        tokens: (batch, length), beginning with <sos/eos>; memory: (batch, time, dim), encoded frames;
        memory_mask: (batch, time). Returns (batch, length, vocab_size). What stands after a position in `tokens`
        does not change its logits, so padding at the end is free.
        """
        length = tokens.shape[1]
        x = self.dropout(self._embed(tokens, torch.arange(length, device=tokens.device)))
        future = torch.ones(length, length, dtype=torch.bool, device=tokens.device).triu(1)
        for layer in self.layers:
            x = layer(x, memory, tgt_mask=future, memory_key_padding_mask=~memory_mask)
        logits: Tensor = self.output(self.final_norm(x))
        return logits

    def start(self, memory: Tensor, memory_mask: Tensor) -> DecoderCache:
        """The cache before the first step, with one hypothesis an utterance; arguments as of `forward`."""
        encoded = tuple(_project(layer.multihead_attn, memory, KEYS_AND_VALUES) for layer in self._layers())
        mask = torch.zeros_like(memory_mask, dtype=encoded[0].dtype).masked_fill(~memory_mask, -torch.inf)
        return DecoderCache(encoded, mask[:, None, None], tuple(pairs[..., :0, :] for pairs in encoded))

    def step(self, tokens: Tensor, cache: DecoderCache) -> tuple[Tensor, DecoderCache]:
        """One more token of each hypothesis: what `forward` gives at its position, without dropout.

        tokens: (batch, hypotheses), the first of a hypothesis <sos/eos>; cache: of the tokens before.
        Returns next-unit logits (batch, hypotheses, vocab_size) and the cache with these tokens.
        """
        position = torch.full((1,), cache.tokens[0].shape[-2], device=tokens.device)
        x = self._embed(tokens, position)
        grown = []
        for layer, encoded, earlier in zip(self._layers(), cache.encoded, cache.tokens, strict=True):
            own = _project(layer.self_attn, layer.norm1(x).flatten(0, 1).unsqueeze(1), ALL)
            grown.append(torch.cat([earlier, own[1:]], dim=-2))
            x = x + _attend(layer.self_attn, own[0], grown[-1]).view_as(x)
            [query] = _project(layer.multihead_attn, layer.norm2(x), QUERIES)  # a query a hypothesis
            x = x + _attend(layer.multihead_attn, query, encoded, cache.mask)
            x = x + layer.linear2(layer.activation(layer.linear1(layer.norm3(x))))
        return self.output(self.final_norm(x)), DecoderCache(cache.encoded, cache.mask, tuple(grown))

    def _layers(self) -> list[nn.TransformerDecoderLayer]:
        """The layers by the type that they are built with."""
        return [layer for layer in self.layers if isinstance(layer, nn.TransformerDecoderLayer)]

    def _embed(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """tokens: (batch, length); positions: (length,), or one of all tokens. Returns (batch, length, dim)."""
        embedded: Tensor = self.embedding(tokens)
        dim = embedded.shape[-1]
        return embedded * math.sqrt(dim) + sinusoids(positions, dim).to(embedded.dtype)


# Which of an attention's input projections, of queries, keys and values in this order.
QUERIES, KEYS_AND_VALUES, ALL = slice(0, 1), slice(1, 3), slice(0, 3)


def _project(attention: nn.MultiheadAttention, x: Tensor, parts: slice) -> Tensor:
    """x: (batch, length, dim). Returns (parts, batch, heads, length, dim / heads)."""
    rows = slice(parts.start * attention.embed_dim, parts.stop * attention.embed_dim)
    projected = F.linear(x, attention.in_proj_weight[rows], attention.in_proj_bias[rows])
    return torch.unflatten(projected, -1, (-1, attention.num_heads, attention.head_dim)).permute(2, 0, 3, 1, 4)


def _attend(
    attention: nn.MultiheadAttention, query: Tensor, keys_and_values: Tensor, mask: Tensor | None = None
) -> Tensor:
    """query: (batch, heads, length, dim / heads). Returns (batch, length, dim)."""
    keys, values = keys_and_values
    attended = F.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
    projected: Tensor = attention.out_proj(attended.transpose(1, 2).flatten(2))
    return projected

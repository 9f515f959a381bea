"""Attention decoder of the hybrid CTC/attention form. A decoder is never unfolded: its layers are all physical."""

import math

import torch
from torch import Tensor, nn

from fold.modules.attention import sinusoids


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
        length, dim = tokens.shape[1], self.embedding.embedding_dim
        positions = sinusoids(torch.arange(length, device=tokens.device), dim).to(memory.dtype)
        x = self.dropout(self.embedding(tokens) * math.sqrt(dim) + positions)
        future = torch.ones(length, length, dtype=torch.bool, device=tokens.device).triu(1)
        for layer in self.layers:
            x = layer(x, memory, tgt_mask=future, memory_key_padding_mask=~memory_mask)
        return self.output(self.final_norm(x))

"""One Conformer layer: macaron feed-forward, relative self-attention, convolution, feed-forward."""

from torch import Tensor, nn

from fold.modules.attention import RelativeSelfAttention
from fold.modules.convolution import ConvolutionModule
from fold.modules.norms import ConvNorm


def feed_forward(dim: int, ffn_dim: int, dropout: float) -> nn.Sequential:
    """Linear, SiLU, dropout, linear: (..., dim) to (..., dim)."""
    return nn.Sequential(nn.Linear(dim, ffn_dim), nn.SiLU(), nn.Dropout(dropout), nn.Linear(ffn_dim, dim))


class ConformerLayer(nn.Module):
    """A pre-norm Conformer layer with a final norm, as ESPnet builds it."""

    def __init__(
        self, dim: int, num_heads: int, ffn_dim: int, kernel_size: int, dropout: float, norm: ConvNorm
    ) -> None:
        super().__init__()
        self.macaron_norm, self.macaron = nn.LayerNorm(dim), feed_forward(dim, ffn_dim, dropout)
        self.attention_norm, self.attention = (
            nn.LayerNorm(dim),
            RelativeSelfAttention(dim, num_heads, dropout),
        )
        self.convolution_norm, self.convolution = nn.LayerNorm(dim), ConvolutionModule(dim, kernel_size, norm)
        self.feed_forward_norm, self.feed_forward = nn.LayerNorm(dim), feed_forward(dim, ffn_dim, dropout)
        self.final_norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor, positions: Tensor) -> Tensor:
        """x: (batch, time, dim); mask: (batch, time); positions: (2 * time, dim). Returns x's shape."""
        x = x + 0.5 * self.dropout(self.macaron(self.macaron_norm(x)))
        x = x + self.dropout(self.attention(self.attention_norm(x), mask, positions))
        x = x + self.dropout(self.convolution(self.convolution_norm(x), mask))
        x = x + 0.5 * self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        normed: Tensor = self.final_norm(x)
        return normed

"""What is measured on: the shape of the Conformer and of the batch, and random speech of that shape."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fold.losses import Targets
from fold.models import Conformer
from fold.modules.attention import relative_positions
from fold.modules.masks import length_mask
from fold.modules.subsampling import ConvSubsampling

SAMPLE_RATE = 16_000  # Hz
MAX_REPEATS = 2


@dataclass(frozen=True)
class Workload:
    """Shape of the model and of a batch. The utterances last 3/4 of `seconds` to all of it."""

    dim: int = 256
    num_heads: int = 4
    ffn_dim: int = 1024
    kernel_size: int = 31
    num_layers: int = 6
    dropout: float = 0.1
    vocab_size: int = 500
    batch_size: int = 4
    seconds: float = 8.0
    units_per_second: float = 4.0

    def __str__(self) -> str:
        return (
            f"{self.num_layers} layers, d {self.dim}, FFN {self.ffn_dim}, {self.num_heads} heads, kernel "
            f"{self.kernel_size}, dropout {self.dropout}, {self.vocab_size} units; "
            f"batch {self.batch_size} x {self.seconds:g} s"
        )

    def conformer(self, num_layers: int | None = None, checkpoint_activations: bool = False) -> Conformer:
        """The architecture with `num_layers` physical layers (None: the workload's own)."""
        return Conformer(
            num_layers=num_layers or self.num_layers,
            dim=self.dim,
            num_heads=self.num_heads,
            ffn_dim=self.ffn_dim,
            kernel_size=self.kernel_size,
            dropout=self.dropout,
            decoder_layers=0,
            checkpoint_activations=checkpoint_activations,
        )

    def speech(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Noise: waveforms (batch, samples) in [-1, 1] and num_samples (batch,)."""
        num_samples = self._lengths(int(self.seconds * SAMPLE_RATE))
        waveforms = torch.empty(self.batch_size, int(num_samples.max())).uniform_(-1, 1)
        return waveforms.to(device), num_samples.to(device)

    def targets(self, device: torch.device) -> Targets:
        """Random transcripts."""
        num_units = self._lengths(max(1, int(self.seconds * self.units_per_second)))
        units = torch.randint(1, self.vocab_size - 1, (self.batch_size, int(num_units.max())))
        return Targets(units.to(device), num_units.to(device))

    def frames(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """What the encoder receives of such speech: x (batch, frames, dim), wanting gradients, num_frames (batch,)."""
        num_frames = self._lengths(ConvSubsampling.output_length(int(self.seconds * 100) - 2))
        x = torch.randn(self.batch_size, int(num_frames.max()), self.dim)
        return x.to(device).requires_grad_(), num_frames.to(device)

    def _lengths(self, longest: int) -> Tensor:
        return torch.linspace(longest, 3 * longest / 4, self.batch_size).ceil().long()


def layer_args(x: Tensor, num_frames: Tensor) -> tuple[tuple[Tensor], tuple[Tensor]]:
    """What a Conformer's stem hands to each layer call: of each row the frame mask, for all the relative positions."""
    return (length_mask(num_frames, x.shape[1]),), (relative_positions(x.shape[1], x.shape[2], x.device),)


def num_parameters(module: nn.Module) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in module.parameters())

"""4x convolutional subsampling of filterbank features."""

from typing import TypeVar

from torch import Tensor, nn

Length = TypeVar("Length", int, Tensor)


class ConvSubsampling(nn.Module):
    """Two 3x3 convolutions of stride 2 without padding, then a linear layer, as ESPnet's Conv2dSubsampling.

    Without padding an output frame sees only valid input frames, so padding changes nothing.
    """

    MIN_FRAMES = 7  # fewer give no output frame

    def __init__(self, num_mels: int, channels: int, dim: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            nn.Conv2d(1, channels, 3, stride=2),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, stride=2),
            nn.ReLU(),
        )
        self.linear = nn.Linear(channels * self.output_length(num_mels), dim)

    @staticmethod
    def output_length(length: Length) -> Length:
        """Output frames (or mel bins) for `length` input ones: an int or an integer tensor."""
        return ((length - 1) // 2 - 1) // 2

    def forward(self, features: Tensor) -> Tensor:
        """features: (batch, time, num_mels). Returns (batch, output_length(time), dim)."""
        x = self.convs(features.unsqueeze(1))
        projected: Tensor = self.linear(x.transpose(1, 2).flatten(2))
        return projected

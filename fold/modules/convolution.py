"""The Conformer's convolution module (Gulati et al., 2020, arXiv 2005.08100)."""

import torch
from torch import Tensor, nn

from fold.modules.norms import ConvNorm, conv_norm


class ConvolutionModule(nn.Module):
    """Pointwise convolution, GLU, depthwise convolution over time, norm, SiLU, pointwise convolution.

    Padded frames are zeroed before the depthwise convolution, which thus sees what an unpadded utterance has at its
    edges: zeros.
    """

    def __init__(self, dim: int, kernel_size: int, norm: ConvNorm) -> None:
        super().__init__()
        self.expand = nn.Linear(dim, 2 * dim)
        self.depthwise = nn.Conv1d(dim, dim, kernel_size, padding=(kernel_size - 1) // 2, groups=dim)
        self.norm = conv_norm(norm, dim)
        self.project = nn.Linear(dim, dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x: (batch, time, dim); mask: (batch, time). Returns x's shape."""
        x = nn.functional.glu(self.expand(x), dim=-1)
        x = x * mask[:, :, None]
        x = self._depthwise_over_time(x)
        return self.project(nn.functional.silu(self.norm(x, mask)))

    def _depthwise_over_time(self, x: Tensor) -> Tensor:
        # As a 2-d convolution of height 1: its channels-last kernels read (batch, time, dim) as it lies in memory.
        conv = self.depthwise
        # In fp32 on CPUs: in bf16 oneDNN (3.12, of PyTorch 2.14) never returns for some shapes on some processors.
        image = x.float() if x.device.type == "cpu" and x.dtype.itemsize == 2 else x
        with torch.autocast("cpu", enabled=False):
            convolved = nn.functional.conv2d(
                image.transpose(1, 2).unsqueeze(2),
                conv.weight.unsqueeze(2),
                conv.bias,
                padding=(0, conv.padding[0]),
                groups=conv.groups,
            )
        return convolved.squeeze(2).transpose(1, 2)

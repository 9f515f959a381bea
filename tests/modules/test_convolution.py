import subprocess
import sys

import pytest
import torch
from torch import Tensor

from fold.modules.convolution import ConvolutionModule


def naive(module: ConvolutionModule, x: Tensor) -> Tensor:
    """One utterance, x: (time, dim), with zeros around it; the norm is over each frame."""
    time, dim = x.shape
    value, gate = module.expand(x).split(dim, dim=1)
    gated = value * torch.sigmoid(gate)
    weight, bias = module.depthwise.weight, module.depthwise.bias
    reach = weight.shape[2] // 2
    frames = []
    for t in range(time):
        frame = bias
        for tap in range(-reach, reach + 1):
            if 0 <= t + tap < time:
                frame = frame + weight[:, 0, tap + reach] * gated[t + tap]
        frames.append(frame)
    x = torch.stack(frames)
    x = (x - x.mean(1, keepdim=True)) / (x.var(1, unbiased=False, keepdim=True) + module.norm.eps).sqrt()
    return module.project(x * torch.sigmoid(x))


@pytest.mark.parametrize(("time", "kernel_size"), [(1, 3), (6, 1), (6, 5), (3, 9)])
def test_equals_a_loop_over_frames_and_taps(time: int, kernel_size: int) -> None:
    torch.manual_seed(0)
    module = ConvolutionModule(8, kernel_size, "layer").double()
    x = torch.randn(2, time, 8, dtype=torch.float64)
    result = module(x, torch.ones(2, time, dtype=torch.bool))
    expected = torch.stack([naive(module, utterance) for utterance in x])
    torch.testing.assert_close(result, expected, rtol=1e-10, atol=1e-10)


BF16 = """
import torch
from fold.modules.convolution import ConvolutionModule
for dim, kernel_size, time in ((16, 15, 40), (32, 31, 34), (144, 15, 58)):
    torch.manual_seed(0)
    module = ConvolutionModule(dim, kernel_size, "layer").eval()
    x, mask = torch.randn(1, time, dim), torch.ones(1, time, dtype=torch.bool)
    with torch.no_grad():
        expected = module(x, mask)
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(module(x, mask).float(), expected, rtol=0.05, atol=0.05)
"""


def test_bf16_on_a_cpu_ends_for_every_shape() -> None:
    """In a process of its own, as one that hangs within a library cannot be interrupted."""
    subprocess.run([sys.executable, "-c", BF16], check=True, timeout=120)

"""Each depth as a plain PyTorch module that shares the model's weights: traced, and timed.

python examples/path_as_module.py runs/conformer_fold/latest/checkpoints/last.ckpt
"""

import sys
import time
from statistics import median

import torch

import fold


def main(checkpoint: str) -> None:
    model = fold.load(checkpoint, device="cpu")
    seconds = 5
    waveforms = 0.1 * torch.randn(1, seconds * model.sample_rate)
    num_samples = torch.tensor([waveforms.shape[1]])
    for depth in model.depths:
        with torch.no_grad():
            traced = torch.jit.trace(model.at(depth), (waveforms, num_samples))
            traced(waveforms, num_samples)  # the first call compiles
            took = []
            for _ in range(5):
                started = time.perf_counter()
                log_probs, _ = traced(waveforms, num_samples)
                took.append(time.perf_counter() - started)
        print(f"depth {depth}: {tuple(log_probs.shape)} log-probabilities, {median(took) / seconds:.4f} s per second")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""How much memory a training step of an experiment needs on a GPU, computed without one.

    python -m benchmarks.gpu_memory wav2vec2_fold hubert_large_fold

Weights, gradients and AdamW's two moments take 16 bytes a trained parameter. Activations are what autograd keeps for
the backward pass of a batch of the experiment's own length, in bf16 where autocast allows: the step is run on tensors
without content (FakeTensorMode), and the storages that are saved are counted once each. The losses' own part, what
libraries take for themselves and memory lost to fragmentation come on top.
"""

from __future__ import annotations

import argparse
import os

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from fold.cli import train
from fold.training.module import FoldableASR

GIB = 2**30
UTTERANCE_SECONDS = 12.7  # of LibriSpeech-100, on average
NUM_UNITS = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="+", help="names of files in experiments/")
    for name in parser.parse_args().experiments:
        os.environ.pop(train.STAMP, None)
        options = [f"--config=experiments/{name}.yaml", "--config=data/librispeech.yaml"]
        cli = train.build("fit", [*options, "--trainer.accelerator=cpu", "--trainer.logger=false"])
        state, activations = needs(cli.model, cli.datamodule.batch_seconds, cli.datamodule.sample_rate)
        print(
            f"{name}: {(state + activations) / GIB:.1f} GiB = {state / GIB:.1f} of weights, gradients and moments + "
            f"{activations / GIB:.1f} of activations of {cli.datamodule.batch_seconds:g} s"
        )


def needs(module: FoldableASR, batch_seconds: float, sample_rate: int) -> tuple[int, int]:
    """Bytes of state, and of what a step keeps under autocast to bf16."""
    saved: dict[int, torch.UntypedStorage] = {}  # holding them keeps their addresses their own

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        saved[storage._cdata] = storage
        return tensor

    with FakeTensorMode():
        model = module.network.build(NUM_UNITS, sample_rate).train()
        rows = max(1, round(batch_seconds / UTTERANCE_SECONDS))
        samples = round(batch_seconds / rows * sample_rate)
        waveforms, num_samples = torch.zeros(rows, samples), torch.full((rows,), samples)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), torch.autocast("cpu"):
            model(waveforms, num_samples, module.training_paths(0, progress=1.0).in_order)
    weights = {parameter.untyped_storage()._cdata for parameter in model.parameters()}
    state = sum((16 if parameter.requires_grad else 4) * parameter.numel() for parameter in model.parameters())
    return state, sum(storage.nbytes() for address, storage in saved.items() if address not in weights)


if __name__ == "__main__":
    main()

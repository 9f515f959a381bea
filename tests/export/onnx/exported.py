"""Models of random weights, exported as the command does it, and run by ONNX Runtime and by PyTorch."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from fold.checkpoint import KEY, PREFIX, Description, load
from fold.cli import main
from fold.models import Architecture, Conformer, Recogniser
from fold.paths import Path as LayerPath
from fold.paths import PathSpace
from fold.text.units import CharUnits

RATE = 16000
SHAPE = {
    "num_layers": 2,
    "dim": 32,
    "num_heads": 2,
    "ffn_dim": 64,
    "kernel_size": 7,
    "subsampling_channels": 8,
    "decoder_layers": 0,
    "num_mels": 40,
}


def conformer(**changes: Any) -> Conformer:
    return Conformer(**{**SHAPE, **changes})


def describe(network: Architecture, space: PathSpace | None = None) -> Description:
    units = network.units(CharUnits("abcdehl "))
    return Description(network, space or PathSpace(network.num_layers, 2), units, RATE, shards="nowhere")


def checkpoint(file: Path, description: Description, change: Callable[[Recogniser], None] | None = None) -> Recogniser:
    """Writes a checkpoint of random weights, perhaps changed. Returns its model."""
    torch.manual_seed(1)
    model = description.build()
    if change is not None:
        change(model)
    for parameter in model.parameters():
        if parameter.dim() < 2:
            parameter.data += 0.1 * torch.randn_like(parameter)  # norms and biases too are not as they begin
    weights = {PREFIX + name: weight for name, weight in model.state_dict().items()}
    for name in weights:
        if name.endswith(("std", "running_var")):
            weights[name] = 1 + torch.rand_like(weights[name])
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save({KEY: description.to_dict(), "state_dict": weights}, file)
    return load(file)[0]


@dataclass
class Exported:
    """A folder that `fold export` wrote, and the model that it wrote it of."""

    folder: Path
    model: Recogniser
    description: Description

    @property
    def known(self) -> dict[str, Any]:
        return json.loads((self.folder / "model.json").read_text())

    def file(self, storage: str = "fp32") -> Path:
        return self.folder / self.known["models"][storage]["file"]

    def session(self, storage: str = "fp32") -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(self.file(storage), options, providers=["CPUExecutionProvider"])

    @torch.no_grad()
    def expected(self, waveforms: Tensor, num_samples: Tensor, path: LayerPath) -> list[Tensor]:
        """Log-probabilities of each utterance, as PyTorch has them."""
        [output] = self.model(waveforms, num_samples, [path])
        return [row[:n] for row, n in zip(output.ctc_log_probs, output.num_frames.tolist(), strict=True)]


def export(folder: Path, description: Description, *settings: str) -> Exported:
    """Runs `fold export --to=onnx` on a checkpoint of random weights."""
    model = checkpoint(folder / "checkpoints" / "last.ckpt", description)
    arguments = [f"--ckpt_path={folder}/checkpoints/last.ckpt", f"--output={folder}/onnx", *settings]
    assert main(["export", "--to=onnx", *arguments]) == 0
    return Exported(folder / "onnx", model, description)


def run(
    session: onnxruntime.InferenceSession, sound: Tensor, lengths: Tensor, repeats: Sequence[int]
) -> list[np.ndarray]:
    """Log-probabilities of each utterance, as ONNX Runtime has them."""
    names = [value.name for value in session.get_inputs()]
    given = (sound.numpy(), lengths.numpy(), np.array(repeats, np.int64))
    log_probs, num_frames = session.run(["log_probs", "num_frames"], dict(zip(names, given, strict=True)))
    return [row[:n] for row, n in zip(log_probs, num_frames.tolist(), strict=True)]


def noise(*lengths: int) -> tuple[Tensor, Tensor]:
    """Utterances of noise of so many samples, loud and soft, zero where they are padded; at least one sample each."""
    generator = torch.Generator().manual_seed(3)
    waveforms = torch.randn(len(lengths), max(*lengths, 1), generator=generator)
    waveforms *= torch.logspace(-1, -3, len(lengths))[:, None]
    num_samples = torch.tensor(lengths)
    return waveforms * (torch.arange(waveforms.shape[1]) < num_samples[:, None]), num_samples


def furthest(got: Sequence[np.ndarray], expected: Sequence[Tensor]) -> float:
    """The greatest difference of two batches of log-probabilities, which have as many frames."""
    assert [len(row) for row in got] == [len(row) for row in expected]
    differences = [np.abs(a - b.numpy()).max() for a, b in zip(got, expected, strict=True) if len(a)]
    return float(max(differences, default=0.0))

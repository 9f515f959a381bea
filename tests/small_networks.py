"""Small networks for the tests of studies, and what they give for noise."""

import torch

from fold.models import Conformer, Recogniser
from fold.paths import Path, PathSpace

SHAPE = {"num_layers": 2, "dim": 16, "num_heads": 2, "ffn_dim": 24, "kernel_size": 5, "subsampling_channels": 4}
SMALL = {**SHAPE, "decoder_layers": 0, "num_mels": 16, "dropout": 0.0, "spec_augment": None}
SPACE = PathSpace(2, 2)


def built(kind: type[Conformer], **settings: object) -> Recogniser:
    torch.manual_seed(0)
    return kind(**{**SMALL, **settings}).build(5, 8000)


def outputs(model: Recogniser, paths: list[Path]) -> list[torch.Tensor]:
    noise = torch.randn(2, 8000, generator=torch.Generator().manual_seed(1))
    return [output.ctc_log_probs for output in model(noise, torch.tensor([8000, 6000]), paths)]

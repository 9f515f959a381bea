"""What a training step would need on a GPU."""

import torch

from benchmarks.gpu_memory import needs
from fold.models import Foundation
from fold.models.foundation import Shape
from fold.training.module import FoldableASR

SHAPE = Shape(
    num_layers=2, dim=64, num_heads=4, ffn_dim=128, conv_channels=(16, 16), conv_kernels=(10, 32), conv_strides=(10, 32)
)


def module(**settings: object) -> FoldableASR:
    optimizer, schedule = torch.optim.AdamW, torch.optim.lr_scheduler.ConstantLR
    return FoldableASR(Foundation(shape=SHAPE, **settings), optimizer, schedule)


def test_state_and_activations() -> None:
    joint = module()
    model = joint.network.build(32, 16000)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    frozen = sum(p.numel() for p in model.parameters() if not p.requires_grad)
    state, activations = needs(joint, 25.4, 16000)
    assert state == 16 * trained + 4 * frozen
    assert 1.9 < needs(joint, 50.8, 16000)[1] / activations < 2.1  # utterances are as long, but twice as many
    assert needs(module(checkpoint_activations=True), 25.4, 16000)[1] < 0.5 * activations
    assert needs(module(freeze_features=False), 25.4, 16000)[1] > activations

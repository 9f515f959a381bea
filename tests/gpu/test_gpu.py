"""What a GPU could do otherwise than the CPU. Without a GPU these run on the CPU, so that they are known to work;
`make gpu-check` runs them where there is one."""

import copy
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import TINY_NETWORK, Finished
from torch import Tensor

from fold import checkpoint
from fold.decoding.decode import Decoding
from fold.losses import Targets
from fold.models import Conformer, Foundation, Recogniser
from fold.models.foundation import Shape
from fold.objective import JointObjective, Losses
from fold.paths import PathSpace
from fold.sampling import StepPaths
from fold.text.units import CharUnits
from fold.training.finite import FiniteUpdates

pytestmark = pytest.mark.gpu
Command = Callable[..., Finished]
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
RATE, VOCAB = 8000, 11
SPACE = PathSpace(2, 2)
PATHS = [SPACE.deepest, SPACE.seed, *SPACE.paths(3)]

CONVOLUTIONS = {"conv_channels": (16, 16), "conv_kernels": (10, 3), "conv_strides": (5, 2)}
SHAPE = Shape(num_layers=2, dim=32, num_heads=4, ffn_dim=32, position_kernel=8, position_groups=4, **CONVOLUTIONS)
NETWORKS = {
    "conformer": Conformer(**TINY_NETWORK),
    "hybrid": Conformer(**{**TINY_NETWORK, "decoder_layers": 1, "decoder_ffn_dim": 32}),
    "foundation": Foundation(shape=SHAPE, masking=None),
    "wavlm": Foundation(shape=Shape(**{**SHAPE.__dict__, "family": "wavlm"}), masking=None),
}


def make_model(name: str) -> Recogniser:
    torch.manual_seed(0)
    return NETWORKS[name].build(VOCAB, RATE).eval()  # without dropout, which differs between devices


def speech() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(3, 9000, generator=generator) - 0.5, torch.tensor([9000, 8100, 5000])


def step(model: Recogniser, device: torch.device, precision: torch.dtype | None = None) -> Losses:
    """The joint step on a device; gradients are left in the model."""
    waveforms, num_samples = speech()
    targets = Targets(torch.tensor([[3, 4, 4], [5, 3, 0], [3, 0, 0]], device=device), torch.tensor([3, 2, 1]))
    with torch.autocast(device.type, precision, enabled=precision is not None):
        outputs = model(waveforms.to(device), num_samples, PATHS, targets.prefixes(VOCAB - 1))
        losses = JointObjective()(StepPaths(PATHS[0], PATHS[1], tuple(PATHS[2:])), outputs, targets, progress=0.9)
    losses.total.backward()
    return losses


@pytest.mark.parametrize("name", NETWORKS)
def test_a_joint_step_is_that_of_the_cpu(name: str) -> None:
    on_cpu, on_device = make_model(name), make_model(name).to(DEVICE)
    expected, found = step(on_cpu, torch.device("cpu")), step(on_device, DEVICE)
    for part, value in expected.parts.items():
        torch.testing.assert_close(found.parts[part].cpu(), value, rtol=1e-3, atol=1e-4)
    for (parameter, value), other in zip(on_cpu.named_parameters(), on_device.parameters(), strict=True):
        if value.grad is not None:
            torch.testing.assert_close(
                other.grad.cpu(), value.grad, rtol=2e-2, atol=2e-3, msg=lambda text, n=parameter: f"{n}: {text}"
            )


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_reduced_precision_stays_near(name: str, precision: torch.dtype) -> None:
    expected, found = step(make_model(name).to(DEVICE), DEVICE), step(make_model(name).to(DEVICE), DEVICE, precision)
    assert found.total.dtype == torch.float32
    torch.testing.assert_close(found.total, expected.total, rtol=0.05, atol=0.05)


def test_updates_that_are_not_finite_are_skipped_on_the_device() -> None:
    model = make_model("conformer").to(DEVICE)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)
    updates = FiniteUpdates()
    for bad in (False, True, False):
        before = copy.deepcopy(model.state_dict())
        step(model, DEVICE)
        if bad:
            next(model.parameters()).grad.fill_(torch.nan)
        updates.clip(model.parameters(), optimizer, 5.0)
        optimizer.step()
        optimizer.zero_grad()
        changed = any(not torch.equal(before[name], value) for name, value in model.state_dict().items())
        assert changed != bad
    assert int(updates.skipped) == 1


@pytest.mark.skipif(DEVICE.type == "cpu", reason="the host waits for a GPU only")
@pytest.mark.parametrize("name", NETWORKS)
def test_the_host_rarely_waits(name: str) -> None:
    """As counted by CUDA itself: CTC's transfers, which PyTorch makes, forward and backward."""
    model = make_model(name).to(DEVICE).train()
    step(model, DEVICE)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            step(model, DEVICE)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    waits = [str(warning.message) for warning in caught if "synchroniz" in str(warning.message)]
    assert len(waits) <= 10, waits


@pytest.mark.parametrize("method", ["greedy", "beam"])
def test_decoding_works_on_the_device(method: str) -> None:
    model = make_model("hybrid").to(DEVICE)
    waveforms, num_samples = speech()
    decoding = Decoding(method=method, beam_size=2, ctc_weight=0.5)
    with torch.no_grad():
        outputs = [output for _, output in model.walk(waveforms.to(DEVICE), num_samples, PATHS)]
        found = decoding(model, outputs, CharUnits("abcdefgh"))
        assert [len(transcripts) for transcripts in found] == [3] * len(PATHS)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_a_run_on_the_device(precision: str, tones_config: Path, fold_command: Command, tmp_path: Path) -> None:
    """Two updates with averages and a final sweep, and their continuation."""
    options = [
        f"--config={tones_config}",
        f"--trainer.accelerator={'gpu' if DEVICE.type == 'cuda' else 'cpu'}",
        "--trainer.devices=1",
        f"--trainer.precision={precision}",
        "--model.optimizer={class_path: torch.optim.AdamW, init_args: {lr: 3.0e-3, fused: true}}",
        "--model.lr_scheduler.init_args.total_steps=4",
        "--trainer.callbacks+=fold.training.callbacks.WeightAverage",
        "--run_dir=run",
    ]
    fold_command("fit", *options, "--trainer.max_steps=2")
    fold_command("fit", *options, "--trainer.max_steps=4", "--ckpt_path=last")
    model, _ = checkpoint.load(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert all(value.isfinite().all() for value in model.state_dict().values())

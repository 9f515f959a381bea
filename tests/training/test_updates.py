"""What an update is: how many batches make it, in which precision, and what counts updates."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import Finished
from lightning.pytorch.plugins import MixedPrecision

from fold.cli import train
from fold.errors import FoldError

Command = Callable[..., Finished]


@pytest.fixture
def build(tones_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., train.FoldCLI]:
    monkeypatch.chdir(tmp_path)
    return lambda *options: train.build("fit", [f"--config={tones_config}", "--trainer.logger=false", *options])


SECONDS = ("--data.update_seconds=50", "--data.batch_seconds=20")  # three batches
BY_UPDATES = "--trainer.check_val_every_n_epoch=null"


def test_intervals_count_updates(build: Callable[..., train.FoldCLI]) -> None:
    intervals = ("--trainer.val_check_interval=7", BY_UPDATES, "--trainer.limit_train_batches=5")
    for options, accumulate in ((SECONDS, 3), (("--trainer.accumulate_grad_batches=4",), 4), ((), 1)):
        trainer = build(*options, *intervals).trainer
        assert trainer.accumulate_grad_batches == accumulate
        assert (trainer.val_check_interval, trainer.limit_train_batches) == (7 * accumulate, 5 * accumulate)
    assert build(*SECONDS, "--trainer.devices=2").trainer.accumulate_grad_batches == 2
    assert build(*SECONDS, "--trainer.devices=3").trainer.accumulate_grad_batches == 1


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--trainer.accumulate_grad_batches=2",), "follows from data.update_seconds (50)"),
        (("--trainer.val_check_interval=0.5",), "trainer.val_check_interval is 0.5"),
        (("--trainer.limit_train_batches=0.5",), "trainer.limit_train_batches is 0.5"),
        (("--trainer.val_check_interval=00:00:10:00", BY_UPDATES), "trainer.val_check_interval is a time"),
    ],
)
def test_what_would_cut_an_update_is_refused(
    build: Callable[..., train.FoldCLI], options: tuple[str, ...], named: str
) -> None:
    with pytest.raises(FoldError) as told:
        build(*SECONDS, *options)
    assert named in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize("precision", ["bf16-true", "16-true", "64-true"])
def test_weights_stay_in_32_bits(precision: str, tones_config: Path, fold_command: Command) -> None:
    done = fold_command("fit", f"--config={tones_config}", f"--trainer.precision={precision}", check=False)
    [told] = [line for line in done.stderr.splitlines() if line.startswith("fold fit: ")]
    assert done.status == 2 and precision in told and "expected one of 32-true, bf16-mixed, 16-mixed" in told


def step(cli: train.FoldCLI) -> torch.Tensor:
    """How far two updates move the weights."""
    cli.trainer.fit(cli.model, datamodule=cli.datamodule)
    end = torch.cat([parameter.detach().flatten() for parameter in cli.model.parameters()])
    torch.manual_seed(1)
    start = cli.model.description.build()
    return end - torch.cat([parameter.detach().flatten() for parameter in start.parameters()])


def test_fp16_takes_the_step_of_fp32(build: Callable[..., train.FoldCLI], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its gradients are scaled: the optimizer, which unscales them itself, must get them as if they were not, after
    clipping. On a CPU Lightning would take bf16 for it."""
    steps, norms = [], []
    for fp16 in (False, True):
        cli = build(
            "--trainer.precision=32-true",
            "--model.optimizer={class_path: torch.optim.SGD, init_args: {lr: 0.1, fused: true}}",
            "--model.lr_scheduler={class_path: torch.optim.lr_scheduler.ConstantLR, init_args: {factor: 1.0}}",
            "--trainer.gradient_clip_val=1.0",
            "--trainer.callbacks+=fold.training.callbacks.GradientNorms",
            "--trainer.callbacks.every_n_steps=1",
            f"--run_dir={fp16}",
            *SECONDS,
        )
        if fp16:
            scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
            cli.trainer.strategy.precision_plugin = MixedPrecision("16-mixed", "cpu", scaler)
        steps.append(step(cli))
        norms.append(float(cli.trainer.callback_metrics["grad_norm/layer_01"]))
        assert int(cli.model.updates.skipped) == 0
    assert 0.05 < steps[0].norm() <= 0.21  # two clipped steps
    assert (steps[1] - steps[0]).norm() < 0.05 * steps[0].norm()
    assert norms[1] == pytest.approx(norms[0], rel=0.05)

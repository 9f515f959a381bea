"""Two CPU processes with half the batch each take the step of one process with the whole batch, or with two in turn."""

from collections.abc import Callable
from pathlib import Path

import lightning
import pytest
import torch
from conftest import TINY_NETWORK, Finished
from tones import SAMPLE_RATE, Tones

from fold import checkpoint
from fold.data.datamodule import SpeechData
from fold.losses import Targets
from fold.models import Conformer
from fold.objective import JointObjective
from fold.paths import PathSpace
from fold.report.record import read_record
from fold.sampling import DepthFirst, step_generator
from fold.terms import Distillation

Command = Callable[..., Finished]
LEARNING_RATE = 0.1
UPDATE_SECONDS, BATCH_SECONDS = 6.0, 3.0


def one_step(tones_config: Path, *options: str) -> list[str]:
    """The command that trains for one update, of which a device holds half."""
    return [
        "fit",
        f"--config={tones_config}",
        f"--model.optimizer={{class_path: torch.optim.SGD, init_args: {{lr: {LEARNING_RATE}}}}}",
        "--model.lr_scheduler={class_path: torch.optim.lr_scheduler.ConstantLR, init_args: {factor: 1.0}}",
        "--model.objective.distillation={weight: 0.5, start: 0, end: 0}",
        "--model.sampler.growth={alone: 0, grown: 0}",
        f"--data.update_seconds={UPDATE_SECONDS}",
        f"--data.batch_seconds={BATCH_SECONDS}",
        "--data.eval_batch_seconds=3",  # several batches, so that both evaluate
        "--trainer.gradient_clip_val=null",
        "--trainer.max_steps=1",
        "--trainer.callbacks+=fold.training.callbacks.WeightAverage",  # its first average is the first step
        *options,
    ]


@pytest.mark.parametrize("checkpointing", [pytest.param(False, marks=pytest.mark.slow), True])
def test_two_processes_equal_one(
    checkpointing: bool, tones_config: Path, tones_shards: Path, fold_process: Command, tmp_path: Path
) -> None:
    options = (f"--model.network.checkpoint_activations={str(checkpointing).lower()}", "--trainer.devices=2")
    fold_process(tmp_path, *one_step(tones_config, *options, "--run_dir=two"))
    stepped, _ = checkpoint.load(tmp_path / "two" / "checkpoints" / "last.ckpt")

    lightning.seed_everything(1)  # as `fold fit` does before it builds the model
    sizes = {"update_seconds": UPDATE_SECONDS, "batch_seconds": BATCH_SECONDS}
    data = SpeechData(Tones(), SAMPLE_RATE, shards=str(tones_shards), num_workers=0, random_seed=1, **sizes)
    model = Conformer(**TINY_NETWORK).build(len(data.units), SAMPLE_RATE)
    batch, space = next(iter(data.train_dataloader())), PathSpace(2)  # the whole update, as nothing accumulates
    assert len(set(batch.num_samples.tolist())) > 1  # lengths vary, over the ranks and within them
    paths = DepthFirst().paths(space, 0, 1.0, step_generator(1, 0))
    objective = JointObjective(distillation=Distillation(0.5, 0.0, 0.0))
    outputs = model(batch.waveforms, batch.num_samples, paths.in_order)
    objective(paths, outputs, Targets(batch.units, batch.num_units), progress=0.0).total.backward()
    steps = [LEARNING_RATE * parameter.grad for parameter in model.parameters()]
    for parameter, step, other in zip(model.parameters(), steps, stepped.parameters(), strict=True):
        torch.testing.assert_close(other, parameter - step, rtol=1e-4, atol=1e-5)
    assert sum(step.abs().sum().item() for step in steps) > 1.0  # real steps were compared
    assert len(list((tmp_path / "two" / "wandb").glob("offline-run-*"))) == 1
    record = read_record(tmp_path / "two" / "depth_sweep.json")
    assert len(record.references) == record.rows[0].sentences == 30  # of both ranks
    assert (record.training.updates, record.training.processes) == (1, 2)


def weights(run: Path) -> torch.Tensor:
    state = checkpoint.load(run / "checkpoints" / "last.ckpt")[0].state_dict()
    return torch.cat([value.flatten() for value in state.values()])


def test_one_process_that_accumulates_takes_the_step_of_two(
    tones_config: Path, fold_command: Command, fold_process: Command, tmp_path: Path
) -> None:
    """With dropout and SpecAugment, drawn for each batch of the update wherever it is computed. The steps are not quite
    equal: two ranks divide by the units of both batches, one by those of each in turn."""
    noise = ("--model.network.dropout=0.1", "--model.network.spec_augment={time_warp: 5}")
    fold_process(tmp_path, *one_step(tones_config, *noise, "--trainer.devices=2", "--run_dir=two"))
    fold_command(*one_step(tones_config, *noise, "--trainer.devices=1", "--run_dir=one"))
    fold_command(*one_step(tones_config, *noise, "--trainer.devices=1", "--run_dir=start", "--model.optimizer.lr=0"))
    start, one, two = (weights(tmp_path / run) for run in ("start", "one", "two"))
    assert (one - two).norm() < 0.1 * (two - start).norm()

"""Two CPU processes with half the batch each take the step of one process with the whole batch."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import lightning
import torch
from conftest import TINY_NETWORK
from tones import SAMPLE_RATE, Tones

from fold import checkpoint
from fold.data.batching import Batch, collate
from fold.data.datamodule import MIN_SECONDS, SpeechData
from fold.data.stream import ShardedSpeech
from fold.data.batching import TrainPlan
from fold.losses import JointObjective, Targets
from fold.models import Conformer
from fold.paths import PathSpace

Command = Callable[..., subprocess.CompletedProcess[str]]
LEARNING_RATE = 0.1


def whole_batch(data: SpeechData, batch_seconds: float) -> Batch:
    """The utterances of both ranks' first batch, as one batch."""
    speech = ShardedSpeech(data.folder, data.index.splits["train"], data.units)
    lengths = speech.lengths(round(MIN_SECONDS * SAMPLE_RATE))
    samples = round(batch_seconds * SAMPLE_RATE)
    plans = [TrainPlan(lengths, samples, seed=0, window=16, rank=rank, world_size=2) for rank in range(2)]
    references = [reference for plan in plans for reference in next(iter(plan))]
    assert len({*map(len, (next(iter(plan)) for plan in plans))}) <= 2
    return collate([speech.read(reference) for reference in references])


def test_two_processes_equal_one(tones_config: Path, tones_shards: Path, fold_command: Command, tmp_path: Path) -> None:
    sgd = "{class_path: torch.optim.SGD, init_args: {lr: 0.1}}"
    constant = "{class_path: torch.optim.lr_scheduler.ConstantLR, init_args: {factor: 1.0}}"
    arguments = ["--config", tones_config, f"--model.optimizer={sgd}", f"--model.lr_scheduler={constant}"]
    arguments += ["--trainer.gradient_clip_val=null", "--trainer.max_steps=1", "--data.batch_seconds=3"]
    arguments += ["--model.objective.distillation={weight: 0.5, start: 0, end: 0}"]
    fold_command("fit", *arguments, "--trainer.devices=2", "--run_dir=two")
    stepped, description = checkpoint.load(tmp_path / "two" / "checkpoints" / "last.ckpt")

    lightning.seed_everything(1)
    data = SpeechData(Tones(), SAMPLE_RATE, shards=str(tones_shards))
    model = Conformer(**TINY_NETWORK).build(len(data.units), SAMPLE_RATE)
    batch, space = whole_batch(data, batch_seconds=3), PathSpace(2)
    paths = [space.deepest, space.seed, *space.draw(1, seed=0, step=0)]
    targets = Targets(batch.units, batch.num_units)
    objective = JointObjective(distillation=description_ramp())
    objective(model(batch.waveforms, batch.num_samples, paths), targets, progress=0.0).total.backward()
    moved = 0.0
    for (name, parameter), other in zip(model.named_parameters(), stepped.parameters(), strict=True):
        step = LEARNING_RATE * parameter.grad
        torch.testing.assert_close(other, parameter - step, rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")
        moved += step.abs().sum().item()
    assert moved > 1.0  # the comparison is of real steps
    assert [file.name for file in (tmp_path / "two" / "wandb").glob("offline-run-*")].__len__() == 1


def description_ramp():
    """The distillation weight of the compared runs: constant 0.5."""
    from fold.losses import Ramp

    return Ramp(0.5)

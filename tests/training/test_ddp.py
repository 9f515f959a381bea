"""Two CPU processes with half the batch each take the step of one process with the whole batch."""

from collections.abc import Callable
from pathlib import Path

import lightning
import pytest
import torch
from conftest import TINY_NETWORK, Finished
from tones import SAMPLE_RATE, Tones

from fold import checkpoint
from fold.data.batching import Batch, collate
from fold.data.datamodule import SpeechData
from fold.data.plans import TrainPlan
from fold.losses import JointObjective, Ramp, Targets
from fold.models import Conformer
from fold.paths import PathSpace
from fold.report.record import read_record

Command = Callable[..., Finished]
LEARNING_RATE = 0.1
BATCH_SECONDS = 3.0


def first_batch_of_both_ranks(data: SpeechData) -> Batch:
    """What two ranks see in their first step, as one batch."""
    loader = data.train_dataloader()
    plan, speech = loader.sampler, loader.dataset
    steps = data.steps_per_epoch(world_size=2)
    ranks = [
        TrainPlan(plan.lengths, plan.shard_seconds, steps, seed=0, window=16, rank=rank, world_size=2)
        for rank in range(2)
    ]
    return collate([speech.read(reference) for rank in ranks for reference in next(iter(rank))])


@pytest.mark.parametrize("checkpointing", [False, True])
def test_two_processes_equal_one(
    checkpointing: bool, tones_config: Path, tones_shards: Path, fold_process: Command, tmp_path: Path
) -> None:
    fold_process(
        tmp_path,
        "fit",
        f"--config={tones_config}",
        f"--model.optimizer={{class_path: torch.optim.SGD, init_args: {{lr: {LEARNING_RATE}}}}}",
        "--model.lr_scheduler={class_path: torch.optim.lr_scheduler.ConstantLR, init_args: {factor: 1.0}}",
        "--model.objective.distillation={weight: 0.5, start: 0, end: 0}",
        "--model.growth={alone: 0, grown: 0}",
        f"--data.batch_seconds={BATCH_SECONDS}",
        "--data.eval_batch_seconds=3",  # several batches, so that both evaluate
        "--trainer.gradient_clip_val=null",
        "--trainer.max_steps=1",
        f"--model.network.checkpoint_activations={str(checkpointing).lower()}",
        "--trainer.devices=2",
        "--trainer.callbacks+=fold.training.callbacks.WeightAverage",  # its first average is the first step
        "--run_dir=two",
    )
    stepped, _ = checkpoint.load(tmp_path / "two" / "checkpoints" / "last.ckpt")

    lightning.seed_everything(1)  # as `fold fit` does before it builds the model
    data = SpeechData(Tones(), SAMPLE_RATE, shards=str(tones_shards), batch_seconds=BATCH_SECONDS, num_workers=0)
    model = Conformer(**TINY_NETWORK).build(len(data.units), SAMPLE_RATE)
    batch, space = first_batch_of_both_ranks(data), PathSpace(2)
    assert len(set(batch.num_samples.tolist())) > 1  # lengths vary, over the ranks and within them
    paths = [space.deepest, space.seed, *space.draw(1, seed=0, step=0)]
    objective = JointObjective(distillation=Ramp(0.5))
    outputs = model(batch.waveforms, batch.num_samples, paths)
    objective(outputs, Targets(batch.units, batch.num_units), progress=0.0).total.backward()
    steps = [LEARNING_RATE * parameter.grad for parameter in model.parameters()]
    for parameter, step, other in zip(model.parameters(), steps, stepped.parameters(), strict=True):
        torch.testing.assert_close(other, parameter - step, rtol=1e-4, atol=1e-5)
    assert sum(step.abs().sum().item() for step in steps) > 1.0  # real steps were compared
    assert len(list((tmp_path / "two" / "wandb").glob("offline-run-*"))) == 1
    record = read_record(tmp_path / "two" / "depth_sweep.json")
    assert len(record.references) == record.rows[0].sentences == 30  # of both ranks
    assert (record.training.updates, record.training.processes) == (1, 2)

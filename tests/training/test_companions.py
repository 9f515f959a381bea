"""What a term of the objective takes besides the model, such as a teacher, in training with several processes."""

import json
from collections.abc import Callable
from pathlib import Path

import lightning
import pytest
import torch
from conftest import Finished
from models.foundation.directories import SMALL, write
from tones import SAMPLE_RATE, Tones
from training.test_ddp import BATCH_SECONDS, LEARNING_RATE, UPDATE_SECONDS, one_step

from fold.data.datamodule import SpeechData
from fold.losses import Targets
from fold.models.foundation import Dropouts, Shape
from fold.objective import JointObjective
from fold.paths import PathSpace
from fold.sampling import StepPaths
from fold.terms import Heard
from studies.students import LikeTeacher, Thin

Command = Callable[..., Finished]
STUDENT = {
    "family": "hubert",
    "num_layers": 3,
    "dim": 16,
    "num_heads": 2,
    "ffn_dim": 24,
    "conv_channels": SMALL["conv_dim"],
    "conv_kernels": SMALL["conv_kernel"],
    "conv_strides": SMALL["conv_stride"],
    "conv_bias": True,
    "conv_norm": "layer",  # padding changes nothing then, and so neither what is a batch
    "position_kernel": 8,
    "position_groups": 4,
}
NO_DROPOUT = dict.fromkeys(("hidden", "attention", "ffn", "features", "head", "conv"), 0.0)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random HuBERT that hears what the test corpus has."""
    folder = tmp_path_factory.mktemp("teacher")
    write(folder, "hubert-large", "Model")
    file = folder / "preprocessor_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "sampling_rate": SAMPLE_RATE}))
    return folder


def trained(tones_config: Path, teacher: Path, *options: str) -> list[str]:
    """The command that trains a thin student on two processes."""
    settings = {"shape": STUDENT, "teacher": str(teacher), "num_layers": 3, "dropouts": NO_DROPOUT, "masking": None}
    network = {"class_path": "studies.students.Thin", "init_args": settings}
    term = {"class_path": "studies.students.LikeTeacher", "init_args": {"source": str(teacher), "layers": [1, 3]}}
    whole = [option for option in one_step(tones_config) if "sampler" not in option and "distillation" not in option]
    return [
        *whole,
        "--trainer.devices=2",
        f"--model.network={json.dumps(network)}",
        "--model.max_repeats=1",
        f"--model.objective.further={json.dumps({'teacher': term})}",
        *options,
    ]


def state(run: Path) -> dict[str, torch.Tensor]:
    """All weights of a checkpoint as training had them, without their average."""
    found: dict[str, torch.Tensor] = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    return found


def test_maps_to_a_teacher_take_the_step_of_the_whole_batch(
    tones_config: Path, tones_shards: Path, teacher: Path, fold_process: Command, tmp_path: Path
) -> None:
    fold_process(tmp_path, *trained(tones_config, teacher, "--run_dir=two"))
    stepped = state(tmp_path / "two")

    lightning.seed_everything(1)  # as `fold fit` does before it builds the model
    sizes = {"update_seconds": UPDATE_SECONDS, "batch_seconds": BATCH_SECONDS}
    data = SpeechData(Tones(), SAMPLE_RATE, shards=str(tones_shards), num_workers=0, random_seed=1, **sizes)
    network = Thin(shape=Shape(**STUDENT), teacher=str(teacher), dropouts=Dropouts(**NO_DROPOUT), masking=None)
    model = network.build(len(data.units), SAMPLE_RATE)
    network.load_pretrained(model, SAMPLE_RATE)
    objective = JointObjective(further={"teacher": LikeTeacher(source=str(teacher), layers=(1, 3))})
    companions = objective.new_companions(model, SAMPLE_RATE)
    batch, paths = next(iter(data.train_dataloader())), StepPaths(PathSpace(3, 1).seed)
    outputs = model(batch.waveforms, batch.num_samples, paths.in_order, with_hidden=True)
    targets, heard = Targets(batch.units, batch.num_units), Heard(batch.waveforms, batch.num_samples)
    objective(paths, outputs, targets, 0.0, heard=heard, companions=dict(companions.items())).total.backward()

    named = [*((f"model.{n}", p) for n, p in model.named_parameters())]
    named += [(f"companions.{n}", p) for n, p in companions.named_parameters()]
    assert {name for name, _ in named} <= stepped.keys() and len(companions.state_dict()) == 4
    assert stepped.keys() - {name for name, _ in named} <= {f"model.{name}" for name, _ in model.named_buffers()}
    for name, parameter in named:
        step = torch.zeros_like(parameter) if parameter.grad is None else LEARNING_RATE * parameter.grad
        torch.testing.assert_close(stepped[name], parameter - step, rtol=1e-4, atol=1e-5, msg=name)
    steps = [parameter.grad.abs().sum() for parameter in companions.parameters()]
    assert min(steps) * LEARNING_RATE > 1e-3  # real steps were compared


@pytest.mark.slow
def test_a_resumed_student_goes_on_with_its_maps(
    tones_config: Path, teacher: Path, fold_process: Command, tmp_path: Path
) -> None:
    two = trained(tones_config, teacher, "--trainer.max_steps=2", "--model.optimizer.momentum=0.9")
    fold_process(tmp_path, *two, "--run_dir=whole")
    fold_process(tmp_path, *two, "--trainer.max_steps=1", "--run_dir=parts")
    first = state(tmp_path / "parts")
    fold_process(tmp_path, *two, "--ckpt_path=last", "--run_dir=parts")
    whole, parts = state(tmp_path / "whole"), state(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    maps = [name for name in whole if name.startswith("companions.")]
    assert len(maps) == 4 and not any(torch.equal(first[name], whole[name]) for name in maps)

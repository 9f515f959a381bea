"""A thin student learns its teacher's hidden states; all rivals of the study train at toy width."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import SMALL_FOUNDATIONS, Finished, exported
from models.foundation.directories import write
from models.foundation.test_parity import noise

from fold import checkpoint
from fold.losses import Targets
from fold.models import Foundation, Recogniser
from fold.models.foundation import Shape
from fold.objective import JointObjective
from fold.paths import PathSpace
from fold.report.record import read_record
from fold.sampling import StepPaths
from fold.terms import Heard
from studies import compression
from studies.pruning import prune
from studies.students import LikeTeacher, Teacher, Thin

SOURCE_SHAPE = {"family": "hubert", "num_layers": 3, "conv_channels": (16,) * 3, "conv_kernels": (10, 3, 2)}
SHAPE_OF_STUDENT = Shape(
    **SOURCE_SHAPE, conv_strides=(5, 2, 2), dim=16, num_heads=2, ffn_dim=24, position_kernel=8, position_groups=4
)
UNITS = 6


def student_of(teacher: Path) -> Recogniser:
    network = Thin(shape=SHAPE_OF_STUDENT, teacher=str(teacher), masking=None, freeze_features=True)
    model = network.build(UNITS, 16000)
    network.load_pretrained(model, 16000)
    return model


def loss_of(model: Recogniser, objective: JointObjective, companions: dict, waveforms: torch.Tensor) -> torch.Tensor:
    num_samples = torch.tensor([4001, 2713])
    paths = StepPaths(PathSpace(3, 1).seed)
    outputs = model(waveforms, num_samples, paths.in_order, with_hidden=objective.needs_hidden(0.0))
    targets = Targets(torch.tensor([[2, 3], [3, 0]]), torch.tensor([2, 1]))
    losses = objective(paths, outputs, targets, 0.0, heard=Heard(waveforms, num_samples), companions=companions)
    return losses.parts["teacher"], losses.total


def test_its_own_states_are_what_a_teacher_expects(tmp_path: Path) -> None:
    write(tmp_path, "hubert-base", "Model")
    network = Foundation(source=str(tmp_path), masking=None)
    model = network.build(UNITS, 16000)
    network.load_pretrained(model.eval(), 16000)
    objective = JointObjective(further={"teacher": LikeTeacher(source=str(tmp_path), layers=(1, 3), cosine=2.0)})
    companions = dict(objective.new_companions(model, 16000).items())
    for to_teacher in companions["teacher"].maps:
        torch.nn.init.eye_(to_teacher.weight)
        torch.nn.init.zeros_(to_teacher.bias)
    waveforms, _ = noise(4001, 2713)
    found, _ = loss_of(model, objective, companions, waveforms)
    assert found == pytest.approx(2.0 * math.log(1 + math.exp(-1)), abs=1e-5)  # no distance, a cosine of 1
    waveforms[1, 2713:] = 5.0  # padding counts for nothing
    again, _ = loss_of(model, objective, companions, waveforms)
    assert again == pytest.approx(float(found), abs=1e-5)
    for to_teacher in companions["teacher"].maps:
        to_teacher.weight.data.neg_()
    opposite, _ = loss_of(model, objective, companions, waveforms)
    assert opposite > 2.0 * math.log(1 + math.exp(1)) > found


def test_the_maps_learn_and_the_teacher_is_no_part_of_anything(tmp_path: Path) -> None:
    write(tmp_path, "hubert-base", "Model")
    student = student_of(tmp_path).train()
    teacher = Foundation(source=str(tmp_path), keep_head=False)
    expected = teacher.build(UNITS, 16000)
    teacher.load_pretrained(expected, 16000)
    for ours, theirs in zip(
        student.stem.waveform_encoder.parameters(), expected.stem.waveform_encoder.parameters(), strict=True
    ):
        assert torch.equal(ours, theirs) and not ours.requires_grad
    objective = JointObjective(further={"teacher": LikeTeacher(source=str(tmp_path), layers=(1, 2, 3))})
    companions = objective.new_companions(student, 16000)
    assert sum(p.numel() for p in companions.parameters()) == 3 * (16 + 1) * 32
    waveforms, _ = noise(4001, 2713)
    learning = [p for p in (*student.parameters(), *companions.parameters()) if p.requires_grad]
    optimizer = torch.optim.Adam(learning, lr=3e-3)
    found = []
    for _ in range(40):
        part, total = loss_of(student, objective, dict(companions.items()), waveforms)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        found.append(float(part))
    assert found[-1] < 0.8 * found[0]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in companions.parameters())
    assert set(companions.state_dict()) == {f"teacher.maps.{n}.{kind}" for n in range(3) for kind in ("weight", "bias")}
    assert isinstance(companions["teacher"], Teacher)


@pytest.fixture
def train(
    small_foundations: Path, fold_command: Callable[..., Finished], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Path]:
    """Trains a system of the study for two updates, from a foundation model of the study's shape; its checkpoint."""
    monkeypatch.chdir(tmp_path)
    compression.SOURCE.parent.mkdir(parents=True)
    shutil.copytree(exported(small_foundations, SMALL_FOUNDATIONS[0]), compression.SOURCE)
    Path("experiments").symlink_to(Path(compression.__file__).parent.parent / "experiments")
    toy = [
        "--data.corpus={class_path: tones.Tones, init_args: {train: 24, dev: 4, test: 4}}",
        "--data.shards=shards",
        "--data.prepare_workers=1",
        "--data.batch_seconds=4",
        "--data.update_seconds=4",
        "--trainer.max_steps=2",
        "--trainer.val_check_interval=2",
    ]

    def of(name: str) -> Path:
        [run, *_] = [run for run in compression.runs() if run.name == name]
        arguments = [argument for argument in run.arguments() if argument != "--config=data/commands.yaml"]
        fold_command("fit", *arguments, *toy, f"--run_dir={name}")
        return tmp_path / name / "checkpoints" / "last.ckpt"

    return of


def test_a_checkpoint_of_a_student_keeps_its_maps_beside_the_model(train: Callable[[str], Path]) -> None:
    file = train("thin")
    state = torch.load(file, weights_only=True)["state_dict"]
    beside = {name: tuple(weight.shape) for name, weight in state.items() if not name.startswith("model.")}
    dim = compression.WIDTH["dim"]
    shapes = {"weight": (144, dim), "bias": (144,)}
    assert beside == {f"companions.teacher.maps.{n}.{kind}": shapes[kind] for n in range(3) for kind in shapes}
    model, description = checkpoint.load(file)
    assert isinstance(description.architecture, Thin)
    assert 0.97 * compression.PARAMETERS < model.num_parameters() <= compression.PARAMETERS
    record = read_record(file.parent.parent / "depth_sweep.json")
    assert record.num_params == model.num_parameters()


@pytest.mark.slow
def test_the_rivals_of_the_study_train_and_are_compared(
    train: Callable[[str], Path], fold_command: Callable[..., Finished], tmp_path: Path
) -> None:
    torch.save(prune(str(train("full")), compression.PARAMETERS, batches=2), compression.PRUNED)
    names = ("full", "thin", "pruned", "fold with teacher", "relaxed")
    for name in names[1:]:
        train(name)
    full, thin, pruned, taught, relaxed = (read_record(tmp_path / name / "depth_sweep.json") for name in names)
    assert taught.num_params == pytest.approx(compression.PARAMETERS, rel=1e-3)  # with the units of tones
    assert list(taught.canonical) == list(relaxed.canonical) == [4, 5, 6]
    assert 1.02 * compression.PARAMETERS < relaxed.num_params < 1.06 * compression.PARAMETERS
    assert all(0.97 * compression.PARAMETERS < r.num_params <= compression.PARAMETERS for r in (thin, pruned))
    assert full.num_params > 1.3 * compression.PARAMETERS
    assert max(*pruned.macs.values(), *thin.macs.values()) < max(full.macs.values())
    done = fold_command("compare", *names, "--output=out")
    assert "GMACs per s" in done.stdout and (tmp_path / "out" / "report.html").exists()

"""A GPU that cannot be used is named, instead of a silent training on the CPU."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from conftest import REPOSITORY, Finished
from tones import SAMPLE_RATE, Tones

from fold import shipped
from fold.data.datamodule import SpeechData
from fold.errors import FoldError
from fold.training import accelerators
from fold.training.accelerators import check_gpu, check_kernels, has_kernels

WHEEL = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]


@pytest.mark.parametrize(
    ("capability", "architectures", "runs"),
    [
        ((7, 0), WHEEL, False),  # V100
        ((7, 5), WHEEL, True),  # T4
        ((8, 0), WHEEL, True),  # A100
        ((8, 9), WHEEL, True),  # L4: kernels of 8.6
        ((9, 0), WHEEL, True),  # H100
        ((8, 0), ["sm_86"], False),  # kernels of a later minor version
        ((11, 0), WHEEL, False),
        ((11, 0), [*WHEEL, "compute_90"], True),  # compiled by the driver
        ((7, 0), ["compute_75"], False),
        ((9, 0), ["sm_90a"], True),
        ((9, 1), ["sm_90a"], False),
        ((12, 1), ["sm_120"], True),
        ((9, 0), [], False),
    ],
)
def test_kernels_run_where_nvidia_says_they_do(
    capability: tuple[int, int], architectures: list[str], runs: bool
) -> None:
    assert has_kernels(capability, architectures) == runs


def test_a_gpu_without_kernels_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Tesla V100")
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: WHEEL)
    with pytest.raises(FoldError, match=r"V100 has compute capability 7.0, .* no kernels \(sm_75.*accelerator=cpu"):
        check_kernels(torch.device("cuda"))
    check_kernels(torch.device("cpu"))


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)


@pytest.mark.parametrize(
    ("cuda", "named"), [("13.0", "driver of version 580 or newer and a GPU of"), (None, "is built for CPUs")]
)
def test_without_a_gpu_the_reason_is_told(
    cuda: str | None, named: str, no_gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: WHEEL)
    with pytest.raises(FoldError) as caught:
        check_gpu("gpu")
    assert named in str(caught.value) and "--trainer.accelerator=cpu" in str(caught.value)
    assert cuda is None or "compute capability 7.5 or higher" in str(caught.value)
    for accelerator in ("cpu", "auto"):
        check_gpu(accelerator)


DATA = REPOSITORY / "data" / "librispeech.yaml"
GPU_EXPERIMENTS = [
    file for file in (REPOSITORY / "experiments").glob("*.yaml") if "precision" in shipped.read(file)["trainer"]
]


@pytest.mark.parametrize("experiment", GPU_EXPERIMENTS, ids=lambda file: file.stem)
def test_an_experiment_for_gpus_does_not_train_without(
    experiment: Path, fold_command: Callable[..., Finished], no_gpu: None, tmp_path: Path
) -> None:
    done = fold_command("fit", f"--config={experiment}", f"--config={DATA}", check=False)
    told = [line for line in done.stderr.splitlines() if "Seed set" not in line]
    assert done.status == 2 and len(told) == 1, done.stderr
    assert told[0].startswith("fold fit: trainer.accelerator is gpu, but ")
    assert not list(tmp_path.glob("runs/*/*"))


@pytest.mark.parametrize(("device", "pinned"), [("cpu", False), ("cuda", True)])
def test_memory_is_pinned_for_the_device_of_the_trainer(
    device: str, pinned: bool, tones_shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = SpeechData(Tones(), SAMPLE_RATE, shards=str(tones_shards), num_workers=0)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: device == "cpu")  # the machine says the opposite
    assert not data.val_dataloader().pin_memory  # without a trainer there is no device
    data.trainer = SimpleNamespace(
        strategy=SimpleNamespace(root_device=torch.device(device)), global_rank=0, world_size=1
    )
    assert data.val_dataloader().pin_memory == pinned


def test_the_drivers_are_those_of_the_versions_that_torch_is_built_for() -> None:
    major = (torch.version.cuda or "13").split(".")[0]
    assert major in accelerators.OLDEST_DRIVER

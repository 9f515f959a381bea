"""Fixtures that several folders of tests share."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from tones import SAMPLE_RATE, Tones

from fold import sealed, shipped
from fold.checkpoint import Description
from fold.cli import main
from fold.data.prepare import prepare, prepared_name
from fold.export.huggingface import write_directory
from fold.models import Foundation
from fold.models.foundation.families import shape_from_plain
from fold.paths import PathSpace
from fold.text.units import CharUnits, UnitsConfig
from fold.training.run_folder import STAMP

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadScopeScheduling

REPOSITORY = Path(__file__).parent.parent
SMALL_FOUNDATIONS = ("wav2vec2_small_full", "w2v_bert_small_full")  # what the other small experiments start from

DEFAULT_MODEL = Path("runs/conformer_fold/latest/checkpoints/last.ckpt")  # what a page starts another run from

# In bf16, kernels of oneDNN 3.12 (of PyTorch 2.14) never end for some small shapes on some processors: seen with a
# matrix product and a depthwise convolution on an Intel Xeon with avx512_bf16. Here its older kernels compute, also in
# the processes that tests start; it reads this at its first use.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE")

# Small layers use two threads badly, and tests run beside each other.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["JSONARGPARSE_DEPRECATION_WARNINGS"] = "off"  # of calls of Lightning's, which Python hides outside of tests

TINY_NETWORK = {
    "num_layers": 2,
    "dim": 32,
    "num_heads": 2,
    "ffn_dim": 64,
    "kernel_size": 7,
    "dropout": 0.0,
    "subsampling_channels": 8,
    "decoder_layers": 0,
    "num_mels": 40,
    "spec_augment": None,
}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: "Producer") -> "LoadScopeScheduling | None":
    if config.getoption("dist") != "loadfile":
        return None  # another was asked for
    from scheduling import ByFileOrFolder  # needs xdist, which tests can do without

    return ByFileOrFolder(config, log)


@pytest.fixture(scope="session")
def tones_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of prepared corpora that holds `Tones()`."""
    shards = tmp_path_factory.mktemp("shards")
    folder = shards / prepared_name(Tones(), SAMPLE_RATE, UnitsConfig())
    prepare(Tones(), folder, root=None, sample_rate=SAMPLE_RATE, units=UnitsConfig(), num_workers=1)
    return shards


@pytest.fixture(scope="session")
def tones_config(tmp_path_factory: pytest.TempPathFactory, tones_shards: Path) -> Path:
    """A YAML file with a tiny experiment on `Tones()`."""
    network = "\n".join(f"      {name}: {'null' if v is None else v}" for name, v in TINY_NETWORK.items())
    file = tmp_path_factory.mktemp("config") / "tones.yaml"
    file.write_text(f"""
experiment: tones
model:
  network:
    class_path: fold.models.Conformer
    init_args:
{network}
  optimizer: {{class_path: fold.training.muon.MuonWithAdam, init_args: {{lr: 3.0e-3}}}}
  lr_scheduler:
    class_path: torch.optim.lr_scheduler.OneCycleLR
    init_args: {{max_lr: 3.0e-3, total_steps: "${{trainer.max_steps}}"}}
data:
  corpus: {{class_path: tones.Tones}}
  sample_rate: {SAMPLE_RATE}
  shards: {tones_shards}
  batch_seconds: 20.0
  num_workers: 0
trainer: {{max_steps: 2, accelerator: cpu, enable_progress_bar: false}}
""")
    return file


@dataclass(frozen=True)
class Finished:
    """What a command left: exit status and the two streams."""

    status: int
    stdout: str
    stderr: str


@pytest.fixture
def fold_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Finished]]:
    """Runs `fold ...` in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, check: bool = True) -> Finished:
        monkeypatch.delenv(STAMP, raising=False)
        capfd.readouterr()
        status = main([str(argument) for argument in arguments])
        printed = capfd.readouterr()
        assert not check or status == 0, printed.err
        return Finished(status, printed.out, printed.err)

    with nothing_left_behind():
        yield run


@pytest.fixture(scope="session")
def fold_once() -> Callable[..., None]:
    """Runs `fold ...` in this process, in a folder: for what the tests of a file share."""

    def run(folder: Path, *arguments: object) -> None:
        os.environ.pop(STAMP, None)
        with nothing_left_behind(), chdir(folder):
            assert main([str(argument) for argument in arguments]) == 0

    return run


@contextmanager
def nothing_left_behind() -> Iterator[None]:
    """Ends what a run in this process leaves to the end of its process."""
    environment = set(os.environ)
    yield
    if wandb := sys.modules.get("wandb"):
        # A run that failed is left open until its process ends: the next one would log into it, in this folder.
        wandb.finish()
        wandb.teardown()
    # Lightning tells processes that it starts their rank here: of a later test, one would wait for the other for ever.
    for name in os.environ.keys() - environment:
        del os.environ[name]


@pytest.fixture(scope="session")
def fold_process() -> Callable[..., Finished]:
    """Runs `python -m fold ...` in a folder as a user would; the test corpus and the studies can be imported."""

    def run(folder: Path, *arguments: object) -> Finished:
        kept = {name: value for name, value in os.environ.items() if "WANDB" not in name and name != STAMP}
        environment = {**kept, "PYTHONPATH": os.pathsep.join(map(str, (REPOSITORY / "tests", REPOSITORY)))}
        command = [sys.executable, "-m", "fold", *map(str, arguments)]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr
        return Finished(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def small_foundations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands in the headers of these experiments leave in runs/, without the training."""
    folder = tmp_path_factory.mktemp("runs")
    for name in SMALL_FOUNDATIONS:
        settings = shipped.read(REPOSITORY / "experiments" / f"{name}.yaml")
        shape = shape_from_plain({"family": "wav2vec2", **settings["model"]["network"]["init_args"]["shape"]})
        units = CharUnits("abcdefghijklmnopqrstuvwxyz' ")
        description = Description(Foundation(shape=shape), PathSpace(6, 1), units, 16000, shards="nowhere")
        write_directory(exported(folder, name), description.build(), description, PathSpace(6, 1).seed)
    return folder


def exported(runs: Path, name: str) -> Path:
    """Where an experiment's export lies."""
    return runs / name / "latest" / "huggingface"


def place(foundations: Path) -> None:
    """Puts `small_foundations` where experiments find them from here."""
    for name in SMALL_FOUNDATIONS:
        link = exported(Path("runs"), name)
        link.parent.mkdir(parents=True)
        link.symlink_to(exported(foundations, name))


FRAMES = {  # of 20 ms, as published
    "conv_dim": [8] * 7,
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "num_feat_extract_layers": 7,
}
PRETRAINED = {
    "data2vec-audio-base": ("data2vec-audio", 12),
    "w2v-bert-2.0": ("w2v-bert", 24),
    "mms-1b-all": ("mms", 48),
    "wavlm-base-plus": ("wavlm-base", 12),
    "unispeech-sat-base-plus": ("unispeech-sat", 12),
    "unispeech-large-1500h-cv": ("unispeech", 24),
    "wav2vec2-conformer-rel-pos-large": ("wav2vec2-conformer", 24),
}


@pytest.fixture(scope="session")
def downloaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands in the headers of experiments download, narrow, but with as many layers."""
    import safetensors.torch
    from models.foundation.compressed import distilhubert, dphubert, lighthubert
    from models.foundation.directories import write

    folder = tmp_path_factory.mktemp("pretrained")
    for name, (family, num_layers) in PRETRAINED.items():
        head = "ForCTC" if family == "mms" else "Model"
        published = {} if family == "w2v-bert" else FRAMES
        model = write(folder / name, family, head, num_hidden_layers=num_layers, **published)
        if family == "mms":
            adapter = {key: weight.detach() for key, weight in model._get_adapters().items()}
            safetensors.torch.save_file(adapter, folder / name / "adapter.eng.safetensors")
    for name, compressed in (("distilhubert", distilhubert), ("dphubert", dphubert), ("lighthubert", lighthubert)):
        (folder / name).mkdir()
        compressed(folder / name)
    shutil.copy(folder / "dphubert" / "pruned.pth", folder)  # what studies.pruning writes is of the same layout
    (folder / "dphubert" / "pruned.pth").rename(folder / "dphubert" / "DPHuBERT-sp0.75.pth")
    (folder / "lighthubert" / "light.pt").rename(folder / "lighthubert" / "lighthubert_small.pt")
    return folder


@pytest.fixture
def beside_pretrained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_foundations: Path, downloaded: Path
) -> None:
    """Works in a folder of its own, where experiments find what they start from."""
    monkeypatch.chdir(tmp_path)
    Path("pretrained").symlink_to(downloaded)
    place(small_foundations)
    DEFAULT_MODEL.parent.mkdir(parents=True)
    with DEFAULT_MODEL.open("wb") as stream:
        sealed.write({}, stream)

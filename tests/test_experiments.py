"""Every shipped YAML instantiates, and what the pages tell people to type exists."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import safetensors.torch
from conftest import REPOSITORY
from models.foundation.directories import write

from fold import shipped
from fold.checkpoint import Description
from fold.cli import COMMANDS, train
from fold.export.huggingface import write_directory
from fold.models import Foundation, empty_model
from fold.models.foundation import Shape
from fold.paths import PathSpace
from fold.text.units import CharUnits

EXPERIMENTS = sorted((REPOSITORY / "experiments").glob("*.yaml"))
CORPORA = sorted((REPOSITORY / "data").glob("*.yaml"))
PAPER_PARAMETERS = {  # arXiv 2505.21237 and ESPnet's Switchboard Conformer: number of units, parameters
    "conformer_fold_librispeech100": (2000, 28_689_312),
    "conformer_physical_librispeech100": (2000, 44_527_008),
    "conformer_physical_librispeech960": (5000, 116_146_960),  # ESPnet: 116.15 M
    "wav2vec2_fold": (32, 66_044_064 + 768),  # and the vector of masked frames
    "wav2vec2_compact": (32, 66_044_064 + 768),
    "wav2vec2_full": (32, 94_395_552 + 768),
}
SMALL_FOUNDATION = Path("runs/wav2vec2_small_full/latest/huggingface")  # what wav2vec2_small_fold starts from


@pytest.fixture(scope="module")
def small_foundation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands in the header of wav2vec2_small_fold leave, without the training."""
    settings = shipped.read(REPOSITORY / "experiments" / "wav2vec2_small_full.yaml")
    shape = Shape(**settings["model"]["network"]["init_args"]["shape"])
    units = CharUnits("abcdefghijklmnopqrstuvwxyz' ")
    description = Description(Foundation(shape=shape), PathSpace(6, 1), units, 16000, shards="nowhere")
    folder = tmp_path_factory.mktemp("exported")
    write_directory(folder, description.build(), description, PathSpace(6, 1).seed)
    return folder


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
}


@pytest.fixture(scope="session")
def downloaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands in the headers of experiments download, narrow, but with as many layers."""
    folder = tmp_path_factory.mktemp("pretrained")
    for name, (family, num_layers) in PRETRAINED.items():
        head = "ForCTC" if family == "mms" else "Model"
        published = {} if family == "w2v-bert" else FRAMES
        model = write(folder / name, family, head, num_hidden_layers=num_layers, **published)
        if family == "mms":
            adapter = {key: weight.detach() for key, weight in model._get_adapters().items()}
            safetensors.torch.save_file(adapter, folder / name / "adapter.eng.safetensors")
    return folder


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_foundation: Path, downloaded: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pretrained").symlink_to(downloaded)
    SMALL_FOUNDATION.parent.mkdir(parents=True)
    SMALL_FOUNDATION.symlink_to(small_foundation)


def build(*arguments: str) -> train.FoldCLI:
    return train.build("fit", [*arguments, "--trainer.accelerator=cpu"])


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda file: file.stem)
@pytest.mark.parametrize("corpus", CORPORA, ids=lambda file: file.stem)
def test_every_experiment_composes_with_every_corpus(experiment: Path, corpus: Path) -> None:
    cli = build(f"--config={experiment}", f"--config={corpus}")
    assert cli.config.experiment == experiment.stem
    assert cli.config.run_dir.startswith(f"runs/{experiment.stem}/")
    num_units, num_parameters = PAPER_PARAMETERS.get(experiment.stem, (2000, None))
    model = empty_model(cli.model.network, num_units, cli.datamodule.sample_rate)
    assert num_parameters in (None, model.num_parameters())
    assert len(model.unfolding.layers) == cli.model.space.num_layers
    head = experiment.read_text().split("\nexperiment:")[0]
    assert f"make train EXP={experiment.stem}" in head


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda file: file.stem)
def test_baselines_do_not_unfold(experiment: Path) -> None:
    cli = build(f"--config={experiment}", f"--config={CORPORA[0]}")
    unfolds = cli.model.space.deepest != cli.model.space.seed
    assert unfolds != any(kind in experiment.stem for kind in ("physical", "full", "compact"))


@pytest.mark.parametrize(
    ("fold", "baseline"),
    [
        ("conformer_fold", "conformer_physical"),
        ("conformer_fold_librispeech100", "conformer_physical_librispeech100"),
        ("conformer_fold_librispeech960", "conformer_physical_librispeech960"),
        ("wav2vec2_fold", "wav2vec2_compact"),
        ("wav2vec2_fold", "wav2vec2_full"),
        ("wav2vec2_small_fold", "wav2vec2_small_compact"),
    ],
)
def test_baselines_differ_from_their_experiment_in_unfolding_alone(fold: str, baseline: str) -> None:
    both = [shipped.read(REPOSITORY / "experiments" / f"{name}.yaml") for name in (fold, baseline)]
    for settings in both:
        del settings["experiment"], settings["model"]["max_repeats"]
        del settings["model"]["network"]["init_args"]["num_layers"]
        for of_unfolding in ("max_depth", "num_sampled_paths", "growth", "objective"):
            settings["model"].pop(of_unfolding, None)
    assert both[0] == both[1]


PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


def commands(page: Path) -> list[str]:
    blocks = re.findall(r"```(?:bash|sh)\n(.*?)```", page.read_text(), re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.split("  #")[0].strip() for line in lines if line.startswith(("make ", "fold ", ".venv/bin/fold "))]


@pytest.mark.parametrize("command", dict.fromkeys(command for page in PAGES for command in commands(page)))
def test_command_of_a_page_parses(command: str) -> None:
    words = shlex.split(command)
    if words[0] == "make":
        done = subprocess.run(["make", "-n", *words[1:]], cwd=REPOSITORY, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        [line] = [line for line in done.stdout.splitlines() if "bin/fold fit" in line] or [None]
        if line is None:
            return
        options = shlex.split(line)[2:]
        options = [str(REPOSITORY / o) if o.startswith(("experiments/", "data/")) else o for o in options]
        build(*[option for option in options if not option.startswith("--trainer.devices")])
    else:
        assert words[1] in COMMANDS
        help_text = subprocess.run(
            [str(REPOSITORY / ".venv/bin/fold"), words[1], "--help-all"], capture_output=True, text=True
        )
        for option in (word.split("=")[0] for word in words[2:] if word.startswith("--")):
            assert option in help_text.stdout, option


def test_pages_have_commands() -> None:
    with_commands = {page.name for page in PAGES if commands(page)}
    assert with_commands >= {"README.md", "runs.md", "data.md", "training.md", "foundation-models.md", "comparing.md"}


@pytest.mark.parametrize("page", [*PAGES, REPOSITORY / "RESULTS.md"], ids=lambda page: page.name)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", page.read_text()) if not link.startswith("http")]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_readme_fits_two_screens() -> None:
    assert len((REPOSITORY / "README.md").read_text().splitlines()) <= 120

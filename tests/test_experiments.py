"""Every shipped YAML instantiates, and what the README tells people to type exists."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from conftest import REPOSITORY

from fold.cli import COMMANDS, train
from fold.models import empty_model

EXPERIMENTS = sorted((REPOSITORY / "experiments").glob("*.yaml"))
CORPORA = sorted((REPOSITORY / "data").glob("*.yaml"))
PAPER_PARAMETERS = {  # arXiv 2505.21237 and ESPnet's Switchboard Conformer
    "conformer_fold_librispeech100": 28_689_312,
    "conformer_physical_librispeech100": 44_527_008,
}


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def build(*arguments: str) -> train.FoldCLI:
    return train.build("fit", [*arguments, "--trainer.accelerator=cpu", "--trainer.precision=32-true"])


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda file: file.stem)
@pytest.mark.parametrize("corpus", CORPORA, ids=lambda file: file.stem)
def test_every_experiment_composes_with_every_corpus(experiment: Path, corpus: Path) -> None:
    cli = build(f"--config={experiment}", f"--config={corpus}")
    assert cli.config.experiment == experiment.stem
    assert cli.config.run_dir.startswith(f"runs/{experiment.stem}/")
    model = empty_model(cli.model.network, vocab_size=2000, sample_rate=cli.datamodule.sample_rate)
    assert model.num_parameters() == PAPER_PARAMETERS.get(experiment.stem, model.num_parameters())
    assert len(model.unfolding.layers) == cli.model.space.num_layers
    head = experiment.read_text().split("experiment:")[0]
    assert f"make train EXP={experiment.stem}" in head


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda file: file.stem)
def test_physical_experiments_do_not_unfold(experiment: Path) -> None:
    cli = build(f"--config={experiment}", f"--config={CORPORA[0]}")
    unfolds = cli.model.space.deepest != cli.model.space.seed
    assert unfolds == ("physical" not in experiment.stem)


@pytest.mark.parametrize("kind", ["", "_librispeech100"])
def test_baselines_differ_from_their_experiment_in_unfolding_alone(kind: str) -> None:
    fold, physical = (
        yaml.safe_load((REPOSITORY / "experiments" / f"conformer_{name}{kind}.yaml").read_text())
        for name in ("fold", "physical")
    )
    for settings in (fold, physical):
        del settings["experiment"], settings["model"]["max_repeats"]
        del settings["model"]["network"]["init_args"]["num_layers"]
    for joint_training_only in ("num_sampled_paths", "objective"):
        fold["model"].pop(joint_training_only, None)
    assert fold == physical


def readme_commands() -> list[str]:
    blocks = re.findall(r"```(?:bash|sh)\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.split("  #")[0].strip() for line in lines if line.startswith(("make ", "fold ", ".venv/bin/fold "))]


@pytest.mark.parametrize("command", readme_commands() or ["missing"])
def test_readme_command_parses(command: str) -> None:
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
            [str(REPOSITORY / ".venv/bin/fold"), words[1], "--help"], capture_output=True, text=True
        )
        for option in (word.split("=")[0] for word in words[2:] if word.startswith("--")):
            assert option in help_text.stdout, option

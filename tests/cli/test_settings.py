"""What the settings of `fold fit` mean, and what is said of wrong ones."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import Finished

from fold.cli import train
from fold.training.run_folder import STAMP

Command = Callable[..., Finished]
SGD = "{class_path: torch.optim.SGD, init_args: {lr: 3.0e-3, momentum: 0.3}}"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tones_config: Path) -> Callable[..., dict]:
    """The resolved settings of a training."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(STAMP, "stamp")

    def resolved(*options: str) -> dict:
        cli = train.build("fit", [f"--config={tones_config}", *options])
        return yaml.safe_load(cli.parser.dump(cli.config, skip_unset=False))

    return resolved


@pytest.fixture
def refused(fold_command: Command, tones_config: Path) -> Callable[..., str]:
    """What is said of a training that cannot start."""

    def told(*options: str) -> str:
        done = fold_command("fit", f"--config={tones_config}", *options, check=False)
        assert (done.status, len(done.stderr.splitlines())) == (2, 1), done.stderr
        assert not os.path.exists("runs")
        return done.stderr

    return told


@pytest.mark.parametrize(
    ("option", "meant"),
    [
        ("--model.network.dmi=3", "model.network.dim"),
        ("--model.network.init_args.dmi=3", "model.network.dim"),
        ("--model.max_repeat=3", "model.max_repeats"),  # no abbreviation
        ("--modle.max_repeats=3", "model.max_repeats"),
        ("--trainer.max_step=3", "trainer.max_steps"),
        ("--model.optimizer.lrr=3", "model.optimizer.lr"),
        ("--model.decoding.metod=beam", "model.decoding.method"),
        ("--seed_everything=2", "random_seed"),
        ("--data.seed=2", "data.random_seed"),
        ("--data.corpus.seed=2", "data.corpus.random_seed"),
        ("--optimizer=torch.optim.Adam", "model.optimizer"),
        ("--lr_scheduler=torch.optim.lr_scheduler.StepLR", "model.lr_scheduler"),
    ],
)
def test_an_unknown_setting_is_told_from_the_one_that_is_meant(
    option: str, meant: str, refused: Callable[..., str]
) -> None:
    named = option.lstrip("-").split("=")[0].replace("init_args.", "")
    assert f"there is no setting '{named}'; did you mean {meant}?" in refused(option)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("model: {network: {init_args: {dmi: 3}}}", "model.network.dim"),
        ("model: {max_repeat: 3}", "model.max_repeats"),
        ("seed_everything: 3", "random_seed"),
        ("trainer: {callbacks: [{class_path: fold.training.callbacks.WeightAverage, init_args: {decya: 1}}]}", "decay"),
    ],
)
def test_so_is_one_in_a_file(text: str, meant: str, refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text(text)
    assert f"{meant}?" in refused(f"--config={tmp_path}/wrong.yaml")


@pytest.mark.parametrize("option", ["--model.network.dmi=3", "--model.max_repeat=3", "--model.optimizer.lrr=3"])
def test_the_command_that_a_refusal_names_works(
    option: str, refused: Callable[..., str], fold_command: Command, capfd: pytest.CaptureFixture[str]
) -> None:
    fold, *arguments = refused(option).split("`")[1].split()
    assert fold == "fold"
    with pytest.raises(SystemExit) as ended:
        fold_command(*arguments)
    assert ended.value.code in (0, None)
    assert "--" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--data.units.kind=chra", "data.units.kind is chra: expected char or sentencepiece"),
        ("--model.max_repeats=x", "model.max_repeats is x: expected int or list"),
        ("--model.network=Confomer", "no class is called 'Confomer'; did you mean Conformer?"),
        ("--data.noise.share=1", "data.noise.folder is missing: it has no default"),
        ("--data.joining.share=x", "data.joining.share is x: expected float"),
        ("--model.network.spec_augment.time_warp=x", "model.network.spec_augment.time_warp is x: expected int"),
        ("--config=nowhere", "no experiment, corpus or file is called 'nowhere'"),
    ],
)
def test_a_wrong_value_is_named_with_right_ones(option: str, told: str, refused: Callable[..., str]) -> None:
    assert told in refused(option)


def test_a_wrong_value_beside_right_ones_is_named(fold_command: Command, tones_config: Path) -> None:
    options = ["--data.noise.folder=noise", "--data.noise.snr=[5]"]
    done = fold_command("fit", f"--config={tones_config}", *options, check=False)
    assert done.stderr == "fold fit: data.noise.snr is [5]: expected a list of 2 elements\n"


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--model.optimizer.lr=0.001", "model.optimizer.lr is 0.001, which would do nothing beside"),
        ("--model.optimizer.betas=[0.5,0.98]", "betas is [0.5, 0.98], of which 0.5 would do nothing beside"),
        (f"--model.optimizer={SGD}", "momentum is 0.3, of which 0.3 would do nothing beside"),
        ("--trainer.gradient_clip_algorithm=value", "which would do nothing: gradients are clipped by their global"),
        ("--trainer.use_distributed_sampler=true", "which would do nothing: the data share batches"),
    ],
)
def test_a_setting_that_would_do_nothing_is_refused(option: str, told: str, refused: Callable[..., str]) -> None:
    assert told in refused(option)


@pytest.mark.parametrize(
    "options",
    [
        ["--model.optimizer.betas=[0.95,0.9]"],  # which the schedule starts with
        ["--model.optimizer.betas=[0.5,0.9]", "--model.lr_scheduler.cycle_momentum=false"],
        ["--model.optimizer.momentum=0.3"],  # of Muon, which no schedule cycles
    ],
)
def test_a_momentum_that_does_something_may_be_given(options: list[str], config: Callable[..., dict]) -> None:
    config(*options)


def test_one_learning_rate_rules_the_shipped_schedule(config: Callable[..., dict]) -> None:
    model = config("--config=debug", "--model.optimizer.lr=0.002")["model"]
    assert model["lr_scheduler"]["init_args"]["max_lr"] == model["optimizer"]["init_args"]["lr"] == 0.002


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], (1, 1, 1)),
        (["--random_seed=3"], (3, 3, 3)),
        (["--random_seed=3", "--data.random_seed=4"], (3, 4, 3)),
        (["--model.random_seed=4"], (1, 1, 4)),
    ],
)
def test_one_random_seed_sets_all(
    options: list[str], expected: tuple[int, int, int], config: Callable[..., dict]
) -> None:
    found = config(*options)
    assert (found["random_seed"], found["data"]["random_seed"], found["model"]["random_seed"]) == expected


def test_a_run_started_from_the_settings_of_another_takes_its_own_random_seed(
    fold_command: Command, tones_config: Path, config: Callable[..., dict]
) -> None:
    fold_command("fit", f"--config={tones_config}", "--random_seed=3", "--model.random_seed=5", "--run_dir=first")
    found = config("--config=first/config.yaml", "--random_seed=4")
    assert (found["random_seed"], found["data"]["random_seed"], found["model"]["random_seed"]) == (4, 4, 5)


def test_names_of_shipped_files_are_enough(fold_command: Command, capfd: pytest.CaptureFixture[str]) -> None:
    """Also far from the repository: the command runs in an empty folder."""
    with pytest.raises(SystemExit) as ended:
        fold_command("fit", "--config", "conformer_physical", "--config", "fsdd", "--print_config")
    assert ended.value.code in (0, None)
    printed = yaml.safe_load(capfd.readouterr().out)
    assert printed["experiment"] == "conformer_physical" and printed["data"]["corpus"]["class_path"].endswith("FSDD")
    assert printed["model"]["network"]["init_args"]["num_layers"] == 8 and "base" not in printed

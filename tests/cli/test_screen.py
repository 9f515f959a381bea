"""What a newcomer sees of a training: little before the end, and there all that is needed to go on."""

import io
import logging
import os
import re
import shlex
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import REPOSITORY, Finished
from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm
from tones import Tones

from fold.cli.closing import program
from fold.screen import say, whole_lines
from fold.training.callbacks.progress import STEPS_FORMAT

Command = Callable[..., Finished]
NOISE = (
    "Tip:",
    "weights_only",
    "FLOPs",
    "Traceback",
    "wandb:",
    "GPU available",
    "Seed set",
    "GLOBAL_RANK",
    "\x1b",
    "\r",
)


@pytest.fixture(scope="module", params=[1, pytest.param(2, marks=pytest.mark.slow)])
def run(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tones_config: Path, fold_process: Command
) -> tuple[Path, Finished]:
    """A short training of one process or two with output to files, and the folder that it was started in."""
    folder = tmp_path_factory.mktemp("screen")
    options = ["--trainer.max_steps=8", "--trainer.val_check_interval=4", "--trainer.check_val_every_n_epoch=null"]
    options += [f"--trainer.devices={request.param}", "--trainer.enable_progress_bar=true"]
    return folder, fold_process(folder, "fit", f"--config={tones_config}", *options)


def test_nothing_useless_is_printed(run: tuple[Path, Finished]) -> None:
    _, done = run
    assert not [word for word in NOISE if word in done.stdout + done.stderr], done.stdout + done.stderr
    assert done.stderr.strip() == ""
    assert all(len(line) <= 80 for line in done.stdout.splitlines() if not line.startswith("W&B"))


def test_the_command_that_comes_last_works_when_pasted(run: tuple[Path, Finished]) -> None:
    folder, done = run
    [command] = re.findall(r"^  (.* transcribe --depth 4 \\\n.*\\\n.*)$", done.stdout, re.MULTILINE)
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'tests'}"}
    pasted = subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True)
    assert pasted.returncode == 0, pasted.stderr
    assert pasted.stdout.split("\t")[0].endswith("sample.wav")
    [said] = re.findall(r'^  it says "(.*)"$', done.stdout, re.MULTILINE)
    assert said in {recipe.text for recipe in Tones().recipes("test", None)}
    assert done.stdout.index("executed depth") < done.stdout.index("figure: ") < done.stdout.index("run: ")
    assert done.stdout.index("run: ") < done.stdout.index(command)
    assert done.stdout.rstrip().endswith(command.splitlines()[-1].strip()), "the command comes last"


def test_what_the_last_lines_name_is_there(run: tuple[Path, Finished]) -> None:
    folder, done = run
    [figure] = re.findall(r"^figure: (.*)$", done.stdout, re.MULTILINE)
    [wandb] = re.findall(r"^W&B, offline: (.*)$", done.stdout, re.MULTILINE)
    [here] = re.findall(r"^run: (.*)$", done.stdout, re.MULTILINE)
    assert (folder / figure).is_file() and (folder / here / "checkpoints" / "last.ckpt").is_file()
    assert list((folder / wandb).glob("*.wandb"))
    recorded = {recipe.text for recipe in Tones().recipes("train", None)}
    shown = re.findall(r'^  "(.*)"$', done.stdout, re.MULTILINE)
    assert len(shown) == 3 and set(shown) <= recorded


def test_growing_paths_are_told_once(run: tuple[Path, Finished]) -> None:
    _, done = run
    told = [line for line in done.stdout.splitlines() if "the loss jumps" in line]
    assert len(told) == 1 and "the deepest path grows to 3 layers" in told[0]
    assert done.stdout.index(told[0]) < done.stdout.index("update 4: ") < done.stdout.index("update 8: ")


def test_the_bar_of_a_long_training_fits_80_columns() -> None:
    values = {"loss": "8.32", "wer@4": "100", "wer@6": "98.7", "wer@8": "97.6"}
    bar = Tqdm(total=1800, initial=900, bar_format=STEPS_FORMAT, ncols=80, file=io.StringIO())
    bar.set_postfix(values)
    assert "wer@8=97.6" in str(bar)


def test_useless_messages_are_left_out_and_others_stay_whole(capsys: pytest.CaptureFixture[str]) -> None:
    lightning, ours = logging.getLogger("lightning.pytorch"), logging.getLogger("fold.data")
    before, show = lightning.handlers[:], warnings.showwarning
    with whole_lines():
        lightning.info("Seed set to 1")
        lightning.warning("GPU available but not used")
        ours.warning("2 utterances dropped")
        warnings.warn("something is old", stacklevel=1)
        say("told")
    printed = capsys.readouterr()
    assert printed.out == "told\n"
    assert "Seed" not in printed.err
    assert {"GPU available but not used", "2 utterances dropped"} <= set(printed.err.splitlines())
    assert lightning.handlers == before and warnings.showwarning is show


def test_a_further_process_tells_only_errors(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    with whole_lines():
        logging.getLogger("lightning.pytorch").warning("said already")
        logging.getLogger("lightning.pytorch").error("broken")
    assert capsys.readouterr().err == "broken\n"


def test_the_program_is_named_as_it_was_called(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    called = tmp_path / "my env" / "bin" / "fold"
    called.parent.mkdir(parents=True)
    called.write_text("#!/bin/sh\n")
    called.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(called)])
    assert shlex.split(program()) == ["my env/bin/fold"]
    monkeypatch.setenv("PATH", str(called.parent))
    assert program() == "fold"
    monkeypatch.setattr(sys, "argv", ["fold/__main__.py"])
    assert shlex.split(program())[1:] == ["-m", "fold"]


def test_an_offline_run_needs_no_login_whatever_used_wandb_before(tones_config: Path, tmp_path: Path) -> None:
    code = "import sys, wandb; wandb.setup(); from fold.cli import main; sys.exit(main(sys.argv[1:]))"
    kept = {name: value for name, value in os.environ.items() if "WANDB" not in name}
    environment = {**kept, "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'tests'}", "NETRC": str(tmp_path / "nobody")}
    command = [sys.executable, "-c", code, "fit", f"--config={tones_config}", "--trainer.max_steps=1", "--run_dir=run"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*"))

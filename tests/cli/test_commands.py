"""The table of commands, and those of other packages."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Finished

import fold
from fold.cli.commands import COMMANDS

Command = Callable[..., Finished]
SCREENS = 170  # lines


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_is_short_and_begins_with_examples(
    name: str, fold_command: Command, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        fold_command(name, "--help")
    told = capfd.readouterr().out
    assert len(told.splitlines()) <= SCREENS and max(map(len, told.splitlines())) <= 100
    examples = told.split("examples:\n")[1].split("\n\n")[0].splitlines()
    assert examples and all(example.startswith(f"  fold {name} ") for example in examples)
    for example in examples:
        with pytest.raises(SystemExit):
            fold_command(name, *re.findall(r"--to=\w+", example), "--help-all")
        whole = capfd.readouterr().out
        for option in re.findall(r"--(\w+)", example):
            assert re.search(rf"--{option}\b", whole), option


def test_help_and_version(fold_command: Command) -> None:
    listed = fold_command("--help").stdout
    assert all(re.search(rf"^  {name} +\w", listed, re.M) for name in COMMANDS)
    assert fold_command("--version").stdout == f"fold {fold.__version__}\n"


def test_an_unknown_command_is_refused(fold_command: Command) -> None:
    done = fold_command("fti", check=False)
    assert done.status == 2 and "no such command; there are fit, " in done.stderr


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """An installed package that offers commands: one that works, one of a name that is taken, one that is broken."""
    folder = tmp_path / "site"
    metadata = folder / "stranger-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[fold.commands]\ngreet = stranger:greet\nsweep = stranger:greet\nbroken = nowhere:run\n"
    )
    (folder / "stranger.py").write_text(
        "from fold import FoldError\n" if hasattr(fold, "FoldError") else "from fold.errors import FoldError\n"
    )
    with (folder / "stranger.py").open("a") as stream:
        stream.write("def greet(arguments):\n")
        stream.write("    if not arguments: raise FoldError('whom?')\n")
        stream.write("    print('hello', *arguments)\n")
    return folder


def run(package: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.path.insert(0, {str(package)!r}); from fold.cli import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)


def test_a_package_adds_a_command(package: Path) -> None:
    assert run(package, "greet", "you").stdout == "hello you\n"
    assert "greet        from stranger" in run(package, "--help").stdout
    failed = run(package, "greet")
    assert (failed.returncode, failed.stderr) == (2, "fold greet: whom?\n")


def test_a_package_takes_no_name_of_folds_and_breaks_nothing(package: Path) -> None:
    assert "usage: fold sweep" in run(package, "sweep", "--help").stdout
    failed = run(package, "broken")
    assert failed.returncode == 2 and len(failed.stderr.splitlines()) == 1
    assert "broken = nowhere:run cannot be loaded" in failed.stderr

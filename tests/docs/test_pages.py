"""What the pages tell people to type exists, and their links lead somewhere."""

import importlib.util
import inspect
import io
import os
import re
import shlex
import subprocess
from contextlib import redirect_stdout
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest
from conftest import REPOSITORY

from fold.cli import COMMANDS, main, train
from fold.decoding.decode import Decoding
from fold.report.archive import read_archive, split_path

TYPED = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
HEADED = [*sorted((REPOSITORY / "experiments").glob("*.yaml")), *sorted((REPOSITORY / "data").glob("*.yaml"))]
PAGES = [*TYPED, REPOSITORY / "RESULTS.md", *sorted((REPOSITORY / "docs" / "results").glob("*.md"))]
LIMITS = {"README.md": 120, "RESULTS.md": 150}  # lines
MODULE = re.compile(r"python\s-m\s(\S+)((?:\s-\S+)*)")

pytestmark = pytest.mark.usefixtures("beside_pretrained")


def commands(page: Path) -> list[str]:
    if page in HEADED:
        blocks = [re.sub(r"^# *", "", page.read_text(), flags=re.M)]
    else:
        blocks = re.findall(r"```(?:bash|sh)\n(.*?)```", page.read_text(), re.S)
    lines = re.sub(r" *\\\n *", " ", "\n".join(blocks)).splitlines()
    typed = [line for line in lines if line.startswith(("make ", "fold ", ".venv/bin/fold "))]
    return [re.split(r" {2,}#| {3,}", line)[0].strip() for line in typed]


OF_DECODING = {f"--decoding.{setting.name}" for setting in fields(Decoding)}  # optional, which hides them in the help


@cache
def output_of(*arguments: str) -> str:
    """What `fold` prints."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        try:
            status = main(list(arguments))
        except SystemExit as helped:
            status = helped.code
    assert status == 0
    return printed.getvalue()


@pytest.mark.parametrize("command", dict.fromkeys(command for page in [*TYPED, *HEADED] for command in commands(page)))
def test_command_of_a_page_parses(command: str) -> None:
    words = shlex.split(command)
    if words[0] == "make":
        environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "ARGS")}
        command = ["make", "-n", *words[1:]]
        done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        [line] = [line for line in done.stdout.splitlines() if "bin/fold fit" in line] or [None]
        if line is None:
            return
        options = shlex.split(line)[2:]
        options = [str(REPOSITORY / o) if o.startswith(("experiments/", "data/")) else o for o in options]
        options = [option for option in options if not option.startswith("--trainer.devices")]
        train.build("fit", [*options, "--trainer.accelerator=cpu"])
    elif words[1].startswith("-"):
        assert output_of(*words[1:])
    else:
        assert words[1] in COMMANDS
        target = re.findall(r"--to[= ][\w-]+", command)
        assert bool(target) == (words[1] == "export")
        for option in (word.split("=")[0] for word in words[2:] if word.startswith("--")):
            told = output_of(words[1], *" ".join(target).split(), "--help-all")
            assert option in told or option in OF_DECODING, option
        for inside in filter(None, (split_path(REPOSITORY / word.split("=")[-1]) for word in words[2:])):
            assert read_archive(inside[0]).names(inside[1])


def test_pages_have_commands() -> None:
    with_commands = {page.name for page in TYPED if commands(page)}
    assert with_commands >= {"README.md", "runs.md", "data.md", "training.md", "foundation-models.md", "comparing.md"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_that_a_page_names_run_with_its_options(page: Path) -> None:
    for module, options in MODULE.findall(page.read_text().replace("`", " ")):
        assert importlib.util.find_spec(module), module
        if module.startswith("studies."):
            source = "".join(inspect.getsource(importlib.import_module(name)) for name in (module, "studies.runs"))
            assert [option for option in options.split() if option not in source] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", page.read_text()) if not link.startswith("http")]
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", LIMITS)
def test_the_first_pages_are_short(page: str) -> None:
    assert len((REPOSITORY / page).read_text().splitlines()) <= LIMITS[page]

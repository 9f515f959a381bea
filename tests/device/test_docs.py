"""The commands that the page of the runtime shows are commands."""

import re
import shlex

import pytest
from conftest import REPOSITORY

from fold_device.cli import _parser

PAGES = [REPOSITORY / "docs" / "devices-runtime.md", REPOSITORY / "fold_device" / "README.md"]
COMMANDS = [line for page in PAGES for line in re.findall(r"^fold-device .*$", page.read_text(), re.M)]


@pytest.mark.parametrize("command", dict.fromkeys(COMMANDS))
def test_command_parses(command: str) -> None:
    assert callable(_parser().parse_args(shlex.split(command)[1:]).run)


def test_pages_have_commands() -> None:
    assert len(COMMANDS) > 4

"""The user's home in paths."""

import os
import re


def at_home(text: str) -> str:
    """A setting, or a file of settings, in which `~/` stands for the user's home wherever a value begins with it: the
    shell replaces it only where an argument does, and not in `--run_dir=~/runs`. So does `~` alone in an argument; in
    a file it is YAML's null."""
    text = re.sub(r"(?:^|(?<==))~$", lambda _: os.path.expanduser("~"), text)
    return re.sub(r"(?:^|(?<=[\s\"'=\[{,]))~/", lambda _: os.path.expanduser("~/"), text)

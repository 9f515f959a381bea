"""The user's home in paths."""

import os
import re

PLACES = r"--[\w.]*(?:dir|root|shards|cache|output|folder|path)=~"


def argument_at_home(text: str) -> str:
    """As `at_home`, of an argument: a place that is `~` alone, which in a file is YAML's null, is the home too."""
    return at_home(f"{text}/" if re.fullmatch(PLACES, text) else text)


def at_home(text: str) -> str:
    """A setting, or a file of settings, in which `~/` stands for the user's home wherever a value begins with it: the
    shell replaces it only where an argument does, and not in `--run_dir=~/runs`."""
    return re.sub(r"(?:^|(?<=[\s\"'=\[{,]))~/", lambda _: os.path.expanduser("~/"), text)

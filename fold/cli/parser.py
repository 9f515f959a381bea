"""What the argument parsers of all commands share: files of settings that go by names, a help that fits a few screens,
and errors of one line."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml
from jsonargparse import ActionConfigFile, ArgumentParser, Namespace
from omegaconf.errors import OmegaConfBaseException

from fold import shipped
from fold.cli.help import short_help
from fold.cli.home import at_home
from fold.cli.refusals import refusal, unresolved
from fold.errors import FoldError
from fold.shipped.content import read_settings


class NamedConfig(ActionConfigFile):
    """A file of settings, or the name of one that comes with fold; with `base:` it builds on another."""

    def __call__(
        self, parser: argparse.ArgumentParser, config: Any, value: str | Sequence[Any] | None, option: str | None = None
    ) -> None:
        file = shipped.find(str(value))
        if file.is_file():  # else it is left to who reads it
            read_settings(file)
        super().__call__(parser, config, str(file), option)  # type: ignore[no-untyped-call]  # which jsonargparse leaves so


class HelpAll(argparse.Action):
    """Shows every setting and ends."""

    def __init__(self, option_strings: list[str], dest: str, **kwargs: Any) -> None:
        text = "Show every setting and exit."
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=text)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        assert isinstance(parser, OneLineErrors)
        print(parser.whole_help(), end="")
        parser.exit()


class OneLineErrors(ArgumentParser):
    """A parser whose errors are `FoldError`s of one line, and whose help is short.

    Settings have to be written out: an abbreviation would change its meaning when a setting is added.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_abbrev=False, **kwargs)
        self.by_hand = kwargs.get("exit_on_error", True)  # else jsonargparse made it, for the settings of a class
        if self.by_hand:
            self.add_argument("--help-all", action=HelpAll)

    def add_config(self, help: str) -> None:
        """Adds `--config`."""
        self.add_argument("-c", "--config", action=NamedConfig, help=help)

    def shown(self, name: str) -> bool:
        """Whether the short help tells of a setting."""
        return True

    def format_help(self, formatter: argparse.HelpFormatter | None = None) -> str:
        return short_help(self, self.shown) if self.by_hand else super().format_help(formatter)

    def whole_help(self) -> str:
        """The help of every setting."""
        return super().format_help()

    def parse_args(self, *args: Any, **kwargs: Any) -> Namespace:  # type: ignore[override]  # of several forms
        """As of jsonargparse. Raises FoldError if a reference such as `${experiment}` leads nowhere."""
        try:
            parsed: Namespace = super().parse_args(*args, **kwargs)
        except OmegaConfBaseException as error:
            raise FoldError(unresolved(error)) from None
        except RecursionError:
            raise FoldError("settings: one holds itself, by a YAML alias such as *name or a reference") from None
        return parsed

    def instantiate(self, namespace: Namespace, instantiate_groups: bool = True, **kwargs: Any) -> Namespace:
        """As of jsonargparse. Raises FoldError if a section of settings was left empty."""
        for name in self.groups or ():
            if name in namespace and namespace[name] is None:
                raise FoldError(f"{name}: an empty section; give its settings, or leave it out")
        try:
            instances: Namespace = super().instantiate(namespace, instantiate_groups, **kwargs)
        except ValueError as error:  # of a setting with several types, each of which refused it
            if reasons := re.search(r"Errors:\s+- (.+)", str(error)):
                raise FoldError(reasons[1]) from error
            raise
        return instances

    def parse_string(self, content: str, path: str = "", **kwargs: Any) -> Any:
        """As of jsonargparse, which calls it in the folder of the file that `path` names."""
        if path:
            content = at_home(self._composed(content, Path(path).absolute()))
        return super().parse_string(content, path=path, **kwargs)

    @staticmethod
    def _composed(content: str, file: Path) -> str:
        try:
            settings = yaml.safe_load(content)
        except yaml.YAMLError:
            return content  # refused by who parses it next
        if not isinstance(settings, dict) or shipped.BASE not in settings:
            return content
        composed: str = yaml.safe_dump(shipped.compose(settings, file), sort_keys=False)
        return composed

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        if not self.exit_on_error:
            super().error(message, ex)  # to the parser of the whole command, which knows where this is
        raise FoldError(refusal(self, message)) from None

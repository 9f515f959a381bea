"""What the argument parsers of all commands share: a wrong argument is refused in one line."""

from __future__ import annotations

from typing import NoReturn

from jsonargparse import ArgumentParser

from fold.errors import FoldError


class OneLineErrors(ArgumentParser):
    """A parser whose errors are `FoldError`s of one line."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        told = " ".join(message.split())
        if "is not accepted" in told:
            told += f"; `{self.prog} --print_config` lists what there is"
        raise FoldError(told) from None

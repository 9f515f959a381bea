"""What the argument parsers of all commands share: a wrong argument is refused in one line."""

from __future__ import annotations

from typing import NoReturn

from jsonargparse import ArgumentParser

from fold.errors import FoldError


class OneLineErrors(ArgumentParser):
    """A parser whose errors are `FoldError`s of one line."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        raise FoldError(" ".join(message.split())) from None

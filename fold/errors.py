"""What is told of bad input: the one exception for what a user can put right, and the one warning."""

from collections.abc import Iterator
from contextlib import contextmanager


class FoldError(Exception):
    """A bad input (configuration, path, shard, audio, checkpoint), told in one line.

    The command line prints only the message; a stack trace of this exception never reaches a user.
    """

    def __str__(self) -> str:
        # Names and texts of others may hold anything: line ends, or what moves the cursor.
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in super().__str__())


class FoldWarning(UserWarning):
    """An input that can be used, but that has a fault."""


def one_line(error: BaseException) -> str:
    """The message of an error of another library, which may have many lines, or none."""
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def refused_as(setting: str) -> Iterator[None]:
    """Around what a library makes of a setting. Raises FoldError, with the setting's name, for what it refuses."""
    try:
        yield
    except (ValueError, TypeError, RuntimeError, ArithmeticError, AssertionError) as error:
        raise FoldError(f"{setting}: {one_line(error)}") from error

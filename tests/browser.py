"""The headless Chromium of the benchmarks: a test is skipped where there is none."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from benchmarks import browser

heard, served = browser.heard, browser.served


@contextmanager
def chromium(*options: str, width: int = 390, height: int = 1400) -> Iterator[Any]:
    """A browser with a window of a phone's width. Skips the test where there is none."""
    with ExitStack() as stack:
        try:
            shown = stack.enter_context(browser.chromium(*options, width=width, height=height))
        except (ImportError, FileNotFoundError) as error:
            pytest.skip(str(error))
        yield shown

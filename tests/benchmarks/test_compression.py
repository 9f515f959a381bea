"""What the page says of published sizes is what is counted."""

import pytest
from conftest import REPOSITORY

from benchmarks.compression import table


@pytest.mark.slow
def test_the_page_has_the_table() -> None:
    assert "\n".join(table()) in (REPOSITORY / "docs" / "compression.md").read_text()

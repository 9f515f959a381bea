"""The page of a comparison: what it says first, and that it can be heard, and read without seeing it."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile
from report.records import make_record

from fold.report.compare.conclusion import conclusion
from fold.report.compare.figures import drawings
from fold.report.compare.page import Comparison, data_uri, examples, render
from fold.report.compare.pairs import all_pairs
from fold.report.compare.systems import group
from fold.report.compare.table import notes, rows


class Outline(HTMLParser):
    """Headings, labelled elements and texts of a page, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.levels: list[int] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if re.fullmatch(r"h\d", tag):
            self.levels.append(int(tag[1]))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    runs = [make_record({2: 0.3, 3: 0.2, 4: 0.1}), make_record({4: 0.1}, num_layers=4, name="physical")]
    systems = group(runs, ["ours <b>", "four"])
    table = rows(systems, None, 0.5)
    shown = examples(systems)
    heard = {example.id: (np.zeros(800, dtype=np.float32), 8000) for example in shown[:2]}
    tested = list(all_pairs(systems, 0.5))
    said = conclusion(systems, table)
    return Comparison("A <title>", systems, table, said, notes(table, 0.5), tested, drawings(systems), heard)


@pytest.fixture(scope="module")
def page(comparison: Comparison) -> str:
    return render(comparison)


def test_the_conclusion_comes_before_all_else(page: str, comparison: Comparison) -> None:
    body = page[page.index("<body>") :]
    first = re.search(r"<h2[^>]*>(.*?)</h2>", body)
    assert first and first[1] == "Conclusion"
    assert len(comparison.conclusion) == body[: body.index("<svg")].count("<li>") > 1


def test_headings_nest_and_what_is_no_text_has_words(page: str, comparison: Comparison) -> None:
    outline = Outline()
    outline.feed(page)
    assert outline.levels[0] == 1 and outline.levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in zip(outline.levels, outline.levels[1:], strict=False))
    images = [attributes for attributes in outline.all("div") if attributes.get("role") == "img"]
    assert [attributes["aria-label"] for attributes in images] == [one.words for one in comparison.drawings]
    assert len(images) == page.count("<svg") and outline.all("html") == [{"lang": "en"}]
    ids = [attributes["id"] for _, attributes in outline.elements if attributes.get("id")]
    named = [attributes["aria-labelledby"] for _, attributes in outline.elements if "aria-labelledby" in attributes]
    assert set(named) <= set(ids)
    assert all("scope" in attributes for attributes in outline.all("th"))


@pytest.mark.parametrize("sample_rate", [6000, 8000, 10000, 96000])
def test_recordings_of_any_rate_are_played(sample_rate: int) -> None:
    uri = data_uri(np.zeros(2 * sample_rate, np.float32), sample_rate)
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    assert len(samples) / rate == pytest.approx(2, abs=0.2)


def test_recordings_that_were_found_can_be_played(page: str, comparison: Comparison) -> None:
    outline = Outline()
    outline.feed(page)
    players = outline.all("audio")
    assert len(players) == len(comparison.recordings) == 2 and page.count('class="example"') > 2
    assert all("controls" in player and player["aria-label"] for player in players)


def test_texts_of_users_are_no_markup(page: str) -> None:
    assert "<b>" not in page and "ours &lt;b&gt;" in page and "<title>A &lt;title&gt;</title>" in page


def test_each_error_is_marked_by_an_element_of_its_kind(page: str) -> None:
    words = page[page.index('id="utterances"') :]
    assert "<mark>wrong</mark>" in words and re.search(r"<ins>word\d+</ins>", words) and re.search(r"<del>word", words)

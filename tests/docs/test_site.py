"""The site is built strictly, has every page, and a reader's browser fetches nothing from elsewhere."""

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import REPOSITORY

pytestmark = pytest.mark.skipif(not importlib.util.find_spec("mkdocs"), reason="the extra [docs] is not installed")
FETCHED = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src", "audio": "src"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    offline = {**os.environ, "https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", f"--site-dir={folder}"],
        cwd=REPOSITORY,
        env=offline,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


class Links(HTMLParser):
    """Collects what a page fetches, and what it links to."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.linked: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        if target := found.get(FETCHED.get(tag, "")):
            self.fetched.append(target)
        if tag == "a" and (target := found.get("href")):
            self.linked.append(target)


def pages(site: Path) -> Iterator[tuple[Path, Links]]:
    for page in sorted(site.rglob("*.html")):
        links = Links()
        links.feed(page.read_text())
        yield page, links


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    fetched = {target for _, links in pages(site) for target in links.fetched}
    assert len(fetched) > 5 and [target for target in fetched if re.match(r"(\w+:)?//", target)] == []
    in_styles = [found for style in site.rglob("*.css") for found in re.findall(r"url\(([^)]+)\)", style.read_text())]
    assert [target for target in in_styles if re.match(r"[\"']?(https?:)?//", target)] == []


def test_links_of_the_site_lead_to_its_pages(site: Path) -> None:
    for page, links in pages(site):
        base = site if page.name == "404.html" else page.parent
        targets = [re.sub(r"[#?].*", "", target) for target in links.linked if not re.match(r"\w+:|/", target)]
        assert [target for target in targets if target and not (base / target).exists()] == [], page.name


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("index.html", "Two commands"),
        ("results/index.html", "Is one model as good as many?"),
        ("extending.html", "How to add"),
        ("glossary.html", "num_hidden_layers"),
        ("api.html", "canonical"),
    ],
)
def test_the_site_has_the_pages_of_the_root_and_the_interface(site: Path, page: str, text: str) -> None:
    assert text in (site / page).read_text()

"""Hooks of mkdocs: pages of the repository's root become pages of the site, and links lead where they lead in the
repository.

Every page is written to be read in the repository, where README.md links to docs/data.md and docs/data.md to
../CONTRIBUTING.md. Here such links are turned into those of the site; what the site lacks is named, not linked.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any

from mkdocs.structure.files import File, Files

ROOT_PAGES = {  # page of the root: its name in the site
    "README.md": "index.md",
    "RESULTS.md": "results/index.md",
    "CONTRIBUTING.md": "extending.md",
    "CHANGELOG.md": "changes.md",
}
IN_ROOT = {name: page for page, name in ROOT_PAGES.items()}
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]*)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Add the pages of the root."""
    root = config.config_file_path.rpartition("/")[0]
    for page, name in ROOT_PAGES.items():
        files.append(File.generated(config, name, abs_src_path=f"{root}/{page}"))
    return files


def on_page_markdown(markdown: str, page: Any, files: Files, **_: Any) -> str:
    """Turn the links of a page into those of the site, and leave lists out at its sides that only take room."""
    name = page.file.src_uri
    alone_in_tab, has_wide_tables = page.parent is None, name.startswith("results/") and name not in IN_ROOT
    page.meta["hide"] = ["navigation"] * alone_in_tab + ["toc"] * has_wide_tables
    return LINK.sub(lambda found: site_link(found, name, files), markdown)


def site_link(found: re.Match[str], page: str, files: Files) -> str:
    """The link of a page as the site has it; page: its name in the site."""
    image, text, target, anchor = found[1], found[2], found[3], found[4] or ""
    if not target or "://" in target or target.startswith("mailto:"):
        return found[0]
    source = IN_ROOT.get(page, f"docs/{page}")
    aimed = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    name = ROOT_PAGES.get(aimed, aimed.removeprefix("docs/") if aimed.startswith("docs/") else "")
    if not name or files.get_file_from_path(name) is None:
        return f"{text} (`{aimed}`)" if aimed not in text else text
    return f"{image}[{text}]({posixpath.relpath(name, posixpath.dirname(page) or '.')}{anchor})"

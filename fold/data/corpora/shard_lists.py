"""Lists of shards as users write them: braces, wildcards, several joined by `::`; files, or URLs."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from fold.data.download import check_url, is_url
from fold.errors import FoldError

_BRACES = (("_OP_", "{"), ("_CL_", "}"))
"""NeMo's names for braces, which its command line could not take."""


def names_shards(place: str) -> bool:
    """Return whether a place names shards, and not a folder of shards."""
    return place.endswith(".tar") or any(mark in place for mark in "{*?") or "::" in place or place.startswith("pipe:")


def under(base: str, places: str) -> str:
    """Return a list whose relative places begin at a folder or URL."""
    if not base:
        return places
    absolute = [p if is_url(p) or p.startswith(("/", "~")) else f"{base.rstrip('/')}/{p}" for p in places.split("::")]
    return "::".join(absolute)


def folder_of(places: str) -> str:
    """Return where the last shard of a list lies, a folder or a URL."""
    return places.rsplit("::", 1)[-1].partition("{")[0].rpartition("/")[0] or "."


def expand(places: str) -> list[str]:
    """Return the files (absolute) and URLs that a list stands for, in its order; wildcards in order of names.

    Raises:
        FoldError: it stands for none, one is named twice, a file is not there, or a URL is of a kind that is not read.
    """
    # Imported here: few corpora need the package.
    from webdataset.shardlists import expand_urls

    for name, brace in _BRACES:
        places = places.replace(name, brace)
    try:
        expanded: list[str] = expand_urls(places)
    except Exception as error:  # of braces that do not fit together, or of the environment, of many classes
        raise FoldError(f"'{places}' is no list of shards ({error})") from None
    found = [file for place in expanded for file in _files(place)]
    seen: set[str] = set()
    for place in found:
        if place in seen:
            raise FoldError(f"'{places}' names {place} twice")
        seen.add(place)
    if not found:
        raise FoldError(f"'{places}' names no shards")
    return found


def _files(place: str) -> list[str]:
    if place.startswith("pipe:"):
        raise FoldError(
            f"'{place}': what a command writes cannot be indexed; name files or URLs (or let the command write files)"
        )
    if is_url(place):
        check_url(place)
        return [place]
    if "{" in place or "}" in place:
        raise FoldError(f"'{place}' has a brace that stands for nothing; expected such as train-{{000000..000127}}.tar")
    if any(mark in place for mark in "*?"):
        files = sorted(glob.glob(os.path.expanduser(place)))
        if not files:
            raise FoldError(f"'{place}': there is no such file")
    else:
        files = [os.path.expanduser(place)]
    for file in files:
        if not os.path.isfile(file):
            raise FoldError(f"there is no file {file}")
    return [str(Path(file).absolute()) for file in files]

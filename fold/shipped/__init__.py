"""The settings that come with fold, by name, and how a file of settings builds on another.

`experiments` and `data` beside this file are links to the folders of these names at the top of the repository, so that
a clone, an editable install and a wheel all find them here.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any

from fold.errors import FoldError
from fold.shipped.content import read_settings

FOLDER = Path(__file__).parent
BASE = "base"  # the key of a file that builds on another


def names() -> dict[str, Path]:
    """The files of shipped experiments, then of shipped corpora, by the name that `--config` takes."""
    files = (file for kind in ("experiments", "data") for file in sorted((FOLDER / kind).glob("*.yaml")))
    return {file.stem: file for file in files}


def find(name: str) -> Path:
    """The file that `name` means: a path if there is such a file, else a shipped experiment or corpus.

    Raises FoldError if it is neither.
    """
    if Path(name).is_file():
        return Path(name)
    shipped = names()
    if name in shipped:
        return shipped[name]
    if "/" in name or name.endswith((".yaml", ".yml", ".json")):
        raise FoldError(f"no such file: {name}")
    close = get_close_matches(name, shipped, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise FoldError(f"no experiment, corpus or file is called '{name}'; {hint}there are {', '.join(shipped)}")


def read(file: Path) -> dict[str, Any]:
    """The settings of a file, and of the files it builds on where it says nothing else.

    Raises FoldError if the file cannot be read, or if a base is missing or circular.
    """
    return compose(read_settings(file), file)


def compose(settings: dict[str, Any], file: Path, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """What `settings`, the content of `file`, mean together with their base. seen: the files that build on this one.

    Raises FoldError if a base is missing or circular.
    """
    if BASE not in settings:
        return settings
    seen = (*seen, file.resolve())
    base = _base_of(settings[BASE], file)
    if base.resolve() in seen:
        circle = " -> ".join(one.name for one in (*seen, base))
        raise FoldError(f"{file}: {BASE} '{settings[BASE]}' leads back to itself ({circle})")
    own = {name: value for name, value in settings.items() if name != BASE}
    return merged(compose(read_settings(base), base, seen), own)


def merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """`base` with what `own` says otherwise: dictionaries merge, all else is replaced, also the settings of a class by
    those of another class."""
    result = dict(base)
    for name, value in own.items():
        before = result.get(name)
        result[name] = value
        if isinstance(before, dict) and isinstance(value, dict):
            class_path = before.get("class_path")
            if value.get("class_path", class_path) == class_path:
                result[name] = merged(before, value)
    return result


def _base_of(value: object, file: Path) -> Path:
    """The file that `base: value` in `file` names: a shipped one, or a path relative to the file."""
    shipped = names()
    if isinstance(value, str) and value in shipped:
        return shipped[value]
    if isinstance(value, str) and value.endswith((".yaml", ".yml")) and (file.parent / value).is_file():
        return file.parent / value
    raise FoldError(
        f"{file}: {BASE} '{value}' is missing: expected the name of a shipped experiment or corpus"
        f" ({', '.join(shipped)}), or the path of a YAML file relative to this one"
    )

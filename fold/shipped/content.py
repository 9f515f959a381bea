"""Files of settings, read and checked: YAML (JSON is YAML) in which nothing is said twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from fold.errors import FoldError, one_line


def read_settings(file: Path) -> dict[str, Any]:
    """What a file of settings says, without the file that it may build on.

    Raises FoldError if it cannot be read, holds no settings, or gives one twice.
    """
    try:
        text = file.read_text(encoding="utf-8")
        settings = yaml.safe_load(text)
    except OSError as error:
        raise FoldError(f"{file}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise FoldError(f"{file}: not UTF-8; expected a YAML file of settings") from None
    except (ValueError, yaml.YAMLError) as error:
        raise FoldError(f"{file}: not YAML ({one_line(error)})") from None
    if not isinstance(settings, dict):
        what = "empty" if settings is None else f"a {type(settings).__name__}"
        raise FoldError(f"{file}: {what}; expected settings, `name: value` lines")
    for line, name in _given_twice(text):
        raise FoldError(f"{file}:{line}: '{name}' is given twice in one section; leave one of them out")
    return settings


def _given_twice(text: str) -> Iterator[tuple[int, str]]:
    """Yields the line and name of each setting in YAML that has another value before, which the last would replace."""
    queue, seen = [yaml.compose(text, Loader=yaml.SafeLoader)], set()
    while queue:
        node = queue.pop()
        if not isinstance(node, yaml.CollectionNode) or id(node) in seen:  # an alias is its anchor again
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            queue += node.value
            continue
        names: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in names:
                    yield key.start_mark.line + 1, key.value
                names.add(key.value)
            queue.append(value)

"""Lists of recordings: TSV, CSV or JSON lines, whose columns may have any names, and folders as Kaldi has them."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import math
import os
import re
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from fold.data.corpora.base import is_valid_id
from fold.data.corpora.cuts import SUPERVISIONS, checked_cut, place_in
from fold.data.corpora.kaldi import is_kaldi, read_kaldi
from fold.data.corpora.recorded import decoded
from fold.data.corpora.stm import is_stm, read_stm
from fold.errors import FoldError

REQUIRED = ("audio", "text")
TEXTS = (*REQUIRED, "speaker", "id")
KEYS = (*TEXTS, "start", "seconds", "end", "channel")
NUMBERS = ("speaker", "start", "seconds", "end", "channel")
"""What may be a number in JSON."""
ELSEWHERE = {
    "start": ("offset", "start_time", "begin_time", "begin"),
    "seconds": ("duration",),
    "end": ("end_time", "stop"),
}
"""What others call our columns of parts."""
SUFFIXES = (".tsv", ".csv", ".jsonl", ".json")

Row = dict[str, str]
"""Values of a line by `KEYS`; those that are optional may be empty."""
Lines = Iterator[tuple[int, dict[str, Any]]]


def part_told(values: Mapping[str, Any]) -> float | None:
    """Return how long the part of a recording is that values by name tell of, in whatever unit; None if they tell
    neither when it ends, nor when it starts and how long it is. Many tell so of audio that was cut out before."""

    def first(key: str) -> float | None:
        told = (_finite(values.get(name)) for name in (key, *ELSEWHERE[key]))
        return next((number for number in told if number is not None), None)

    start, end, length = first("start"), first("end"), first("seconds")
    return end - (start or 0.0) if end is not None else length if start is not None else None


def _finite(value: object) -> float | None:
    """Return a number, perhaps written as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def read_rows(path: Path, columns: Mapping[str, str]) -> Iterator[tuple[str, Row]]:
    """Yield place (`FILE:LINE`) and values of every line of a list that is not blank.

    Args:
        path: the list, a folder of Kaldi's, or a folder of STM lists.
        columns: what the list calls its columns, by our names.

    Raises:
        FoldError: the list cannot be read, or a line is not as it should be; the message names it.
    """
    if is_kaldi(path) or is_stm(path):
        read = read_kaldi if is_kaldi(path) else read_stm
        yield from ((where, dict.fromkeys(KEYS, "") | row) for where, row in read(path))
        return
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FoldError(f"{path}: cannot be read ({error.strerror})") from None
    yield from parse_rows(str(path), content, columns)


def parse_rows(name: str, content: bytes, columns: Mapping[str, str]) -> Iterator[tuple[str, Row]]:
    """Yield the lines of the content of a list, whose name tells what it is; else as `read_rows`."""
    names = _names(columns)
    suffix = os.path.splitext(name.removesuffix(".gz"))[1]
    parse = {".tsv": _parse_tsv, ".csv": _parse_csv, ".jsonl": _parse_json, ".json": _parse_json}.get(suffix)
    if parse is None:
        *most, last = SUFFIXES
        raise FoldError(f"{name}: the name of a list ends in {', '.join(most)} or {last} (or in these and .gz)")
    text = decoded(name, _unpacked(name, content) if name.endswith(".gz") else content)
    for number, row in parse(name, text, names):
        yield f"{name}:{number}", {key: _text(f"{name}:{number}", key, row.get(key)) for key in KEYS}


def id_of(name: str) -> str:
    """Return a valid id for what somebody else named: the name itself if it can be one."""
    return name if is_valid_id(name) else _legible(name, name)


def id_of_file(file: str, *segment: str) -> str:
    """Return an id that says from which file (and which part of it) an utterance comes: legible, with a digest that
    tells apart what differs in other characters or further ahead."""
    return _legible("_".join((os.path.splitext(file)[0], *segment)), "/".join((file, *segment)))


def _legible(name: str, of: str) -> str:
    legible = re.sub(r"[^A-Za-z0-9-]+", "_", name)
    return f"{legible[-60:]}-{hashlib.sha256(of.encode()).hexdigest()[:10]}"


def _names(columns: Mapping[str, str]) -> dict[str, str]:
    """What a list calls its columns, by our names: channels only if it is told, since there are columns called so that
    hold something else, or count from 0. Raises FoldError if one is none of ours."""
    for key in columns:
        if key not in KEYS:
            raise FoldError(f"columns: there is no '{key}'; expected some of {', '.join(KEYS)}")
    return {key: key for key in KEYS if key != "channel"} | dict(columns)


def _unpacked(name: str, content: bytes) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise FoldError(f"{name}: cannot be unpacked ({error})") from None


def _text(where: str, key: str, value: object) -> str:
    if key in NUMBERS and isinstance(value, int | float):
        value = str(value)
    if not isinstance(value, str | None):
        raise FoldError(f"{where}: {key} is {value!r}, expected text")
    return (value or "").strip()


def _parse_tsv(name: str, text: str, names: Mapping[str, str]) -> Lines:
    # Not splitlines, which also splits at characters that a transcript may hold; and no quotes, which are text here.
    lines = ((number, line.rstrip("\r").split("\t")) for number, line in _lines(text))
    return _parse_table(name, lines, names, "between tabs")


def _parse_csv(name: str, text: str, names: Mapping[str, str]) -> Lines:
    # Strict: a quote that is never closed would take the lines after it for a part of its field.
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        lines = [(reader.line_num, fields) for fields in reader if fields]
    except csv.Error as error:
        raise FoldError(f"{name}:{reader.line_num}: no CSV ({error})") from None
    return _parse_table(name, lines, names, "between commas")


def _parse_table(name: str, lines: Iterable[tuple[int, list[str]]], names: Mapping[str, str], between: str) -> Lines:
    columns: list[str] = []
    for number, fields in lines:
        if not columns:
            columns = fields
            for key in REQUIRED:
                _check_key(f"{name}:{number}", "column", names[key], columns)
            for column in names.values():
                if columns.count(column) > 1:
                    raise FoldError(f"{name}:{number}: {columns.count(column)} columns are called '{column}'")
            _check_parts(f"{name}:{number}", names, columns)
        elif len(fields) != len(columns):
            raise FoldError(f"{name}:{number}: {len(fields)} columns {between}, the first line has {len(columns)}")
        else:
            row = dict(zip(columns, fields, strict=True))
            yield number, {key: row.get(column) for key, column in names.items()}


def _parse_json(name: str, text: str, names: Mapping[str, str]) -> Lines:
    for number, line in _lines(text):
        where = f"{name}:{number}"
        try:
            row = json.loads(line)
            json.dumps(row, ensure_ascii=False).encode()  # halves of a surrogate pair are no text
        except ValueError as error:
            raise FoldError(f"{where}: no JSON ({error})") from None
        if not isinstance(row, dict):
            raise FoldError(f'{where}: expected an object such as {{"audio": "a.wav", "text": "yes"}}')
        if names["text"].startswith(SUPERVISIONS):
            row = checked_cut(where, row)
        _check_parts(where, names, [key for key, value in row.items() if value is not None])
        values = {key: value_at(row, path) for key, path in names.items()}
        for key in REQUIRED:
            if values[key] is None:
                _check_key(where, "key", names[key], row)
        if isinstance(values["audio"], dict):
            values |= place_in(where, values["audio"], values.get("channel"))
        yield number, values


def value_at(row: Mapping[str, Any], path: str) -> Any:
    """Return the value that `path` leads to in JSON: a key, or keys and numbers in lists between dots; `*` joins what
    the rest of the path finds in all members of a list. None if there is nothing."""
    return row[path] if path in row else _follow(row, path.split("."))


def _follow(value: Any, path: list[str]) -> Any:
    if not path:
        return value
    first, rest = path[0], path[1:]
    if isinstance(value, dict):
        return _follow(value.get(first), rest)
    if isinstance(value, list) and first == "*":
        found = [_follow(member, rest) for member in value]
        return " ".join(part for part in found if isinstance(part, str)) if found else None
    if isinstance(value, list) and first.isdigit() and int(first) < len(value):
        return _follow(value[int(first)], rest)
    return None


def _lines(text: str) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())


def _check_key(where: str, kind: str, wanted: str, found: Iterable[str]) -> None:
    if wanted not in found:
        raise FoldError(f"{where}: no {kind} '{wanted}'; there are: {', '.join(found)}")


def _check_parts(where: str, names: Mapping[str, str], found: Collection[str]) -> None:
    """Raises FoldError if others' names tell which part of a recording an utterance is, and would not be read."""
    unread = {
        key: column
        for key, others in ELSEWHERE.items()
        for column in others
        if column in found and column not in names.values() and names[key] not in found
    }
    length_is_needed = names["start"] in found and names["end"] not in found
    if "start" in unread or "end" in unread or ("seconds" in unread and length_is_needed):
        told = ", ".join(f"{key}: {column}" for key, column in unread.items())
        raise FoldError(
            f"{where}: {' and '.join(unread.values())} would not be read, but a wrong part of the recording; say what "
            f'it is, --data.corpus.columns="{{{told}}}"'
        )

"""Many evaluations on one test set in one small file, `*.jsonl.xz`: what was said stands in it once.

The file is compressed JSON Lines (`xzcat FILE | head -1`): first the format, the transcripts and their checksum, then
one line per evaluation, a record without its transcripts under a name such as `study/fold/seed1`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import lzma
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from fold.errors import FoldError
from fold.files import holding, replacing
from fold.report.record import FORMAT, Record, parse_record

SUFFIX = ".jsonl.xz"
ARCHIVE = "fold-evaluations"
VERSION = 1


@dataclass(frozen=True, eq=False)
class Archive:
    """Evaluations on one test set.

    Attributes:
        file: where they are kept.
        references: transcripts by utterance id, the same for all evaluations.
        plain: the evaluations by name, as they stand in the file.
    """

    file: Path
    references: Mapping[str, str]
    plain: Mapping[str, Mapping[str, Any]]

    def names(self, pattern: str = "*") -> list[str]:
        """The names that match a pattern as of the shell, in order. Raises FoldError if there are none."""
        found = [name for name in sorted(self.plain) if fnmatchcase(name, pattern)]
        if not found:
            known = ", ".join(sorted(self.plain)[:3]) or "nothing"
            raise FoldError(f"{self.file}: no evaluation is called {pattern}; there are {known} ...")
        return found

    def record(self, name: str) -> Record:
        """The evaluation of a name that is there. Raises FoldError if it is damaged."""
        return parse_record({**self.plain[name], "references": self.references}, f"{self.file}/{name}")


def split_path(path: Path) -> tuple[Path, str] | None:
    """The archive that `FILE` or `FILE/PATTERN` names, and the pattern; None if the path leads through no archive."""
    for file in (path, *path.parents):
        if file.name.endswith(SUFFIX):
            return file, str(path.relative_to(file)) if path != file else "*"
    return None


def read_archive(file: Path) -> Archive:
    """Read what `keep` wrote.

    Raises:
        FoldError: the file is missing, or is no archive of evaluations, or its transcripts are not whole.
    """
    try:
        with lzma.open(file, "rt", encoding="utf-8") as stream:
            head, *evaluations = [json.loads(line) for line in stream]
        if head[ARCHIVE] != VERSION:
            raise FoldError(f"{file}: archives of version {head[ARCHIVE]} are unknown here, only {VERSION}")
        references, plain = head["references"], {line["name"]: line["record"] for line in evaluations}
        if head["checksum"] != checksum(references):
            raise FoldError(f"{file}: its transcripts are not those that were written")
    except OSError as error:
        raise FoldError(f"cannot read the evaluations {file}: {error.strerror or error}") from error
    except (lzma.LZMAError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FoldError(
            f"{file} is no archive of evaluations, or is damaged: {error or 'it ends too early'}"
        ) from error
    return Archive(file, references, plain)


def keep(file: Path, evaluations: Mapping[str, Record]) -> None:
    """Add evaluations to an archive, made if missing, in place of those of the same names. Several processes may.

    Raises:
        FoldError: they were not made on the test set of the archive.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with holding(file.with_name(f".{file.name}.lock")):
        if file.exists():
            archive = read_archive(file)
        else:
            archive = Archive(file, next(iter(evaluations.values())).references, {})
        for name, record in evaluations.items():
            if record.references != archive.references:
                raise FoldError(f"{name} was evaluated on another test set than the evaluations in {file}")
        added = {name: _without_references(record) for name, record in evaluations.items()}
        _write(file, archive.references, {**archive.plain, **added})


def checksum(references: Mapping[str, str]) -> str:
    """Names a test set by its content, whatever the order of its utterances."""
    return hashlib.sha256(_line(dict(sorted(references.items())))).hexdigest()


def _without_references(record: Record) -> dict[str, Any]:
    plain = {"format": FORMAT, **dataclasses.asdict(record)}
    del plain["references"]
    return plain


def _write(file: Path, references: Mapping[str, str], plain: Mapping[str, Mapping[str, Any]]) -> None:
    with replacing(file) as stream:
        stream.write(lzma.compress(b"".join(_lines(references, plain)), preset=6))


def _lines(references: Mapping[str, str], plain: Mapping[str, Mapping[str, Any]]) -> Iterator[bytes]:
    ordered = dict(sorted(references.items()))
    yield _line({ARCHIVE: VERSION, "checksum": checksum(references), "references": ordered})
    for name, record in sorted(plain.items()):
        yield _line({"name": name, "record": record})


def _line(values: Any) -> bytes:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"

"""All that one evaluation leaves for later comparison, in one JSON file: `depth_sweep.json`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from rapidfuzz.distance import Levenshtein

from fold.errors import FoldError
from fold.files import write_json
from fold.metrics.significance import Triple
from fold.report.sweep import SweepRow, by_subset, pooled, read_sweep, summarise

FORMAT = 2
WITHOUT_SUBSETS = 1  # a former format: the test set is one, its split
POOLED = "pooled"


@dataclass(frozen=True)
class Training:
    """What training a model took.

    updates: optimizer steps; hours: wall time of its steps, validations left out; cpu_hours: processor time of the
    first process over the same steps; processes: that trained together; device: of the first process, several joined
    by " + " if training went on elsewhere; data: fingerprint of the training utterances; both empty if unknown.
    """

    updates: int
    hours: float
    cpu_hours: float
    processes: int
    device: str = ""
    data: str = ""


@dataclass(frozen=True)
class RealTime:
    """Real-time factors over some utterances: seconds of computing for a second of audio.

    Attributes:
        median: of all of them.
        low: a quarter of them is below.
        high: a quarter of them is above.
    """

    median: float
    low: float
    high: float


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True)
class Record:
    """The evaluation of one model on one split, whose subsets are test sets of their own.

    name: of the experiment; corpus, split: that it was evaluated on; num_layers: physical layers; num_params:
    parameters; stored_bytes: of its weights and buffers; rows: one per path and subset, the same paths of each; where
    canonical paths were decoded greedily and otherwise, one for each;
    references: transcripts by utterance id;
    errors: for the canonical path of each depth, by its text form: the hypotheses that differ from their reference, by
    utterance id;
    real_time_factors: seconds of computing for a second of audio, by path, the median over some utterances, of which
    each path took one in turn; real_time_spread: the quartiles, empty if unknown; session: equal for records that were
    timed in turns with each other; device: that they were taken on;
    training: None if unknown; settings: the resolved configuration, nested; date: of the evaluation;
    decoding: how transcripts of canonical paths were found (settings of `fold.decoding.decode.Decoding`), empty if
    unknown;
    utterances: ids of each subset, where there are several;
    macs: multiply-accumulates for a second of audio, by canonical path, empty if unknown;
    int8_bytes: of its exported weights in int8, 0 if unknown.
    """

    name: str
    corpus: str
    split: str
    num_layers: int
    num_params: int
    stored_bytes: int
    rows: tuple[SweepRow, ...]
    references: Mapping[str, str]
    errors: Mapping[str, Mapping[str, str]]
    real_time_factors: Mapping[str, float]
    device: str
    training: Training | None
    settings: Mapping[str, Any]
    date: str
    decoding: Mapping[str, Any] = field(default_factory=dict)
    utterances: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    real_time_spread: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    session: str = ""
    macs: Mapping[str, float] = field(default_factory=dict)
    int8_bytes: int = 0

    @property
    def size(self) -> str:
        """Of the test set, or of its first subset, in words."""
        return f"{self.rows[0].words:,} words in {self.rows[0].sentences:,} utterances"

    @property
    def subsets(self) -> tuple[str, ...]:
        """Names of the subsets."""
        return tuple(by_subset(self.rows))

    def of(self, subset: str) -> Record:
        """The evaluation on one subset."""
        if self.subsets == (subset,):
            return self
        ids = set(self.utterances.get(subset, ()))
        return dataclasses.replace(
            self,
            rows=tuple(row for row in self.rows if row.subset == subset),
            references={id: text for id, text in self.references.items() if id in ids},
            errors={path: {id: text for id, text in said.items() if id in ids} for path, said in self.errors.items()},
            utterances={},
        )

    def pooled(self) -> Record:
        """The evaluation on all subsets as one. Raises FoldError if what was said is unknown, and so how many
        characters there were."""
        parts = [self.of(subset) for subset in self.subsets]
        if len(parts) < 2:
            return self
        if not self.references:
            raise FoldError(f"{self.name}: subsets cannot be pooled without transcripts, which depth_sweep.json has")
        chars = [sum(map(len, part.references.values())) for part in parts]
        of_paths = zip(*(part.rows for part in parts), strict=True)
        return dataclasses.replace(self, rows=tuple(pooled(rows, chars, POOLED) for rows in of_paths), utterances={})

    @property
    def canonical(self) -> dict[int, SweepRow]:
        """The row of the canonical path by depth, shallowest first. Of one subset: ask a part, or all pooled."""
        [rows] = by_subset(self.rows).values()
        return {summary.depth: summary.canonical for summary in summarise(rows) if summary.canonical}

    def hypotheses(self, path: str) -> dict[str, str]:
        """Transcripts of a canonical path by utterance id."""
        return {**self.references, **self.errors[path]}


def triples(a: Record, path_a: str, b: Record, path_b: str) -> list[Triple]:
    """Reference, hypothesis of a and hypothesis of b of each utterance, in the order of ids.

    Raises FoldError if the two were not evaluated on the same utterances.
    """
    if a.references != b.references:
        raise FoldError(f"{a.name} and {b.name} were evaluated on different test sets; {difference(a, b)}")
    ours, theirs = a.hypotheses(path_a), b.hypotheses(path_b)
    return [(a.references[id], ours[id], theirs[id]) for id in sorted(a.references)]


def difference(a: Record, b: Record) -> str:
    """How the test sets of two records differ, in a few words."""
    sets = [f"{r.corpus} {r.split} of {len(r.references):,} utterances" for r in (a, b)]
    if sets[0] != sets[1]:
        return f"{sets[0]} against {sets[1]}"
    odd = next(id for id in sorted({*a.references, *b.references}) if a.references.get(id) != b.references.get(id))
    return f"the first utterance that differs is {odd!r}"


def write_record(record: Record, file: str | Path) -> None:
    """Writes a record as JSON; the file appears complete or not at all."""
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, {"format": FORMAT, **dataclasses.asdict(record)})


def read_record(file: str | Path) -> Record:
    """Reads what `write_record` wrote, or wrote before there were subsets.

    Raises:
        FoldError: the file is missing, or is no record.
    """
    try:
        plain = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise FoldError(f"cannot read the record {file}: {getattr(error, 'strerror', None) or error}") from error
    return parse_record(plain, file)


def parse_record(plain: Any, file: str | Path) -> Record:
    """The record that stands as plain JSON in a file. Raises FoldError, which names the file, if it is none."""
    found = plain.pop("format", None) if isinstance(plain, dict) else None
    if found not in (WITHOUT_SUBSETS, FORMAT):
        raise FoldError(
            f"{file} is not a record of an evaluation, as `fold sweep` writes: its format is {found}, not {FORMAT}"
        )
    try:
        record = TypeAdapter(Record).validate_python(plain)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise FoldError(
            f"{file} is not a record of an evaluation, as `fold sweep` writes: {place}: {first['msg']}"
        ) from error
    if found == WITHOUT_SUBSETS:
        rows = tuple(dataclasses.replace(row, subset=record.split) for row in record.rows)
        record = dataclasses.replace(record, rows=rows)
    return _checked(record, file)


def _checked(record: Record, file: str | Path) -> Record:
    """The record, if what it says of its subsets and paths fits together. Raises FoldError."""
    parts = [record.of(subset) for subset in record.subsets]
    if not parts or not all(part.canonical for part in parts):
        raise FoldError(f"{file}: no canonical path was evaluated")
    if len({tuple((row.path, row.decoding) for row in part.rows) for part in parts}) > 1:
        raise FoldError(f"{file}: its subsets {', '.join(record.subsets)} were not evaluated along the same paths")
    if record.references:
        _check_transcripts(record, parts, file)
    return record


def _check_transcripts(record: Record, parts: Sequence[Record], file: str | Path) -> None:
    """Raises FoldError unless the transcripts are those that the errors of each of its parts were counted in."""
    for path in (row.path for row in parts[0].canonical.values()):
        if not record.errors.get(path, {None: ""}).keys() <= record.references.keys():
            raise FoldError(f"{file}: the transcripts of path {path} are missing or are of other utterances")
    listed = [id for subset in record.subsets for id in record.utterances.get(subset, ())]
    if len(parts) > 1 and sorted(listed) != sorted(record.references):
        raise FoldError(f"{file}: its utterances are not shared out over its subsets {', '.join(record.subsets)}")
    for part in parts:
        for row in part.canonical.values():
            found = sum(_word_errors(part.references[id], text) for id, text in part.errors[row.path].items())
            if found != row.substitutions + row.deletions + row.insertions or len(part.references) != row.sentences:
                raise FoldError(
                    f"{file}: the transcripts of path {row.path} are not those that its errors were counted in"
                )


def _word_errors(reference: str, hypothesis: str) -> int:
    return Levenshtein.distance(reference.split(), hypothesis.split())


def record_of_sweep(file: str | Path) -> Record:
    """What a `depth_sweep.csv` tells by itself: no transcripts, times or settings. Raises FoldError as `read_sweep`."""
    rows = read_sweep(file)
    if not rows:
        raise FoldError(f"{file}: no path was evaluated")
    record = Record(
        name=Path(file).resolve().parent.name,
        corpus="",
        split="",
        num_layers=max(int(layer) for layer in rows[0].path.split("-")),
        num_params=rows[0].num_params,
        stored_bytes=0,
        rows=tuple(rows),
        references={},
        errors={},
        real_time_factors={},
        device="",
        training=None,
        settings={},
        date="",
    )
    return _checked(record, file)

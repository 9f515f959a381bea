"""From records to systems: runs that differ only in their random seeds are one system, named by what sets it apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from statistics import fmean, stdev
from typing import Any

from fold.errors import FoldError
from fold.metrics.significance import word_errors
from fold.report.record import RealTime, Record, difference
from fold.report.sweep import searched, summarise
from fold.settings import current_names

SEEDS = ("random_seed", "model.random_seed", "data.random_seed")
PLACES = (  # where a run found or left things, and how it used the machine
    "data.shards",
    "data.root",
    "data.cache",
    "data.cache_gigabytes",
    "data.num_workers",
    "data.prepare_workers",
    "trainer.enable_progress_bar",
)
RECORDED = "model.test_decoding."  # a record has its own
SOURCE = "model.network.init_args.source"  # of which the folder is a place too, but not the name
NAMED_SETTINGS = 3  # in a label


@dataclass(frozen=True)
class Times:
    """How long each depth of a system takes, all measured on one device."""

    device: str
    of_depths: Mapping[int, RealTime]


@dataclass(frozen=True, eq=False)
class System:
    """Runs that differ only in their random seeds.

    Attributes:
        label: names it in tables and figures.
        records: of its runs.
    """

    label: str
    records: tuple[Record, ...]

    @property
    def record(self) -> Record:
        """One of them, for what they share."""
        return self.records[0]

    @cached_property
    def depths(self) -> list[int]:
        """Executed depths of canonical paths, shallowest first."""
        return list(self.record.canonical)

    @property
    def foldable(self) -> bool:
        return len(self.depths) > 1

    @property
    def decoding(self) -> str:
        """How canonical paths were decoded, in words."""
        return searched(self.record.rows) or self.record.decoding.get("method", "unknown")

    @cached_property
    def ordered_references(self) -> list[str]:
        """In the order of utterance ids."""
        return [text for _, text in sorted(self.record.references.items())]

    @cached_property
    def word_errors(self) -> dict[int, list[list[int]]]:
        """By depth: word errors of the canonical path, a list per run, in the order of `ordered_references`."""
        return {depth: [self._word_errors(record, depth) for record in self.records] for depth in self.depths}

    def _word_errors(self, record: Record, depth: int) -> list[int]:
        said = sorted(record.hypotheses(record.canonical[depth].path).items())
        return word_errors(self.ordered_references, [text for _, text in said])

    def wers(self, depth: int) -> list[float]:
        """WER of the canonical path, a run each."""
        return [record.canonical[depth].wer for record in self.records]

    def cers(self, depth: int) -> list[float]:
        return [record.canonical[depth].cer for record in self.records]

    def macs(self, depth: int) -> float | None:
        """Multiply-accumulates for a second of audio, along the canonical path; None if unknown."""
        return self.record.macs.get(self.record.canonical[depth].path)

    def over_paths(self, depth: int) -> tuple[float, float, float]:
        """Mean, lowest and highest WER over all paths of a depth and all runs, all decoded alike."""
        found = [summary for record in self.records for summary in summarise(record.rows) if summary.depth == depth]
        return fmean(s.mean for s in found), min(s.best for s in found), max(s.worst for s in found)

    @cached_property
    def times(self) -> Times | None:
        """Of canonical paths; over several runs the mean of their medians and their whole spread. None if the spread
        is unknown, or they were not on one device."""
        paths = {depth: self.record.canonical[depth].path for depth in self.depths}
        devices = {record.device for record in self.records}
        known = all(path in record.real_time_spread for record in self.records for path in paths.values())
        if not known or len(devices) > 1:
            return None
        return Times(devices.pop(), {depth: self._time(path) for depth, path in paths.items()})

    def _time(self, path: str) -> RealTime:
        lows, highs = zip(*(record.real_time_spread[path] for record in self.records), strict=True)
        return RealTime(fmean(record.real_time_factors[path] for record in self.records), min(lows), max(highs))


def times_compare(systems: Sequence[System]) -> bool:
    """Whether all were timed in turns, which a single system's depths always are."""
    if any(system.times is None for system in systems):
        return False
    sessions = {record.session for system in systems for record in system.records}
    return len(systems) == 1 or (len(sessions) == 1 and "" not in sessions)


def timed(system: System) -> Times:
    """The times of a system of which `times_compare` holds."""
    assert system.times is not None
    return system.times


def mean_and_deviation(values: Sequence[float], digits: int = 2) -> str:
    """`4.03 ± 0.21`; only the mean of a single value."""
    shown = f"{fmean(values):.{digits}f}"
    return shown if len(values) == 1 else f"{shown} ± {stdev(values):.{digits}f}"


def by_subset(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Records of one subset each, by those subsets that all were evaluated on.

    Records that have one subset each are taken as they are, whatever it is called: their utterances must be the same
    (see `check_same_test_set`). Raises FoldError if they share none.
    """
    first, *others = records
    if all(len(record.subsets) == 1 for record in records):
        return {first.subsets[0]: list(records)}
    shared = [subset for subset in first.subsets if all(subset in record.subsets for record in others)]
    if not shared:
        told = " against ".join(dict.fromkeys(", ".join(record.subsets) for record in records))
        raise FoldError(f"the systems were evaluated on different subsets: {told}; --pooled=true compares them as one")
    return {subset: [record.of(subset) for record in records] for subset in shared}


def group(records: Sequence[Record], labels: Sequence[str | None]) -> list[System]:
    """Systems of records of one subset each, in the order of their first. labels: given ones, which also decide what
    belongs together.

    A record that comes twice counts once. Raises FoldError if the records are not of one test set, or if runs of one
    system have different depths or the same random seeds.
    """
    check_same_test_set(records)
    groups: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for index, (record, label) in enumerate(zip(records, labels, strict=True)):
        own = (label,) if label else (None, record.name, *_key(record, index))
        if record not in groups[own]:
            groups[own].append(record)
    named = [(key[0] or _name(runs[0], groups.values()), runs) for key, runs in groups.items()]
    systems = [System(label, tuple(sorted(runs, key=lambda run: str(_seed(run))))) for label, runs in _distinct(named)]
    for system in systems:
        _check_runs(system)
    return systems


def _check_runs(system: System) -> None:
    if len({tuple(record.canonical) for record in system.records}) > 1:
        raise FoldError(f"{system.label}: its runs were evaluated at different depths; give them different labels")
    seeds = [_seed(record) for record in system.records if record.settings]
    twice = next((seed for seed in seeds if seeds.count(seed) > 1), None)
    if twice is not None:
        named = ", ".join(f"{name} {value}" for name, value in zip(SEEDS, twice, strict=True) if value is not None)
        raise FoldError(
            f"{system.label}: {seeds.count(twice)} evaluations of runs with the same random seeds ({named or 'none'}); "
            "give them different labels (LABEL=PATH)"
        )


def check_same_test_set(records: Sequence[Record]) -> None:
    """Raises FoldError unless all records are of the same utterances (by number of words, where that is all known)."""
    first = records[0]
    for record in records[1:]:
        if first.references and record.references:
            if record.references != first.references:
                raise FoldError(f"the systems were evaluated on different test sets: {difference(first, record)}")
        elif first.size != record.size:
            sizes = " against ".join(r.size for r in (first, record))
            raise FoldError(f"the systems were evaluated on different test sets: {sizes}")


def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings as `model.network.dim`, value."""
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def compared_settings(record: Record) -> dict[str, Any]:
    """The settings that make a system what it is, and what it was trained on."""
    left_out = (*SEEDS, *PLACES)
    settings = {
        name: value
        for name, value in flat(current_names(record.settings))
        if name not in left_out and not name.startswith(RECORDED)
    }
    if settings.get(SOURCE):
        settings[SOURCE] = PurePath(settings[SOURCE]).name
    settings |= {f"decoding.{name}": value for name, value in record.decoding.items()}
    if record.training and record.training.data:
        settings["training utterances"] = record.training.data
    return settings


def _key(record: Record, index: int) -> tuple[Any, ...]:
    """Equal for runs of one system. What came without settings is a system of its own."""
    if not record.settings:
        return (index,)
    return (record.num_layers, repr(sorted(compared_settings(record).items())))


def _seed(record: Record) -> tuple[Any, ...]:
    settings = dict(flat(current_names(record.settings)))
    return tuple(settings.get(name) for name in SEEDS)


def _name(record: Record, groups: Iterable[list[Record]]) -> str:
    """The experiment, and what of its settings other systems of the same experiment have otherwise."""
    alike = [runs[0] for runs in groups if runs[0].name == record.name]
    settings = [compared_settings(other) for other in alike]
    mine = compared_settings(record)
    varying = [name for name in mine if len({repr(other.get(name)) for other in settings}) > 1]
    if not varying:
        return record.name
    shown = [f"{name.rsplit('.', 1)[-1]}={mine[name]}" for name in varying[:NAMED_SETTINGS]]
    more = ", ..." if len(varying) > NAMED_SETTINGS else ""
    return f"{record.name} ({', '.join(shown)}{more})"


def _distinct(named: Sequence[tuple[str, list[Record]]]) -> list[tuple[str, list[Record]]]:
    """Numbers labels that occur more than once."""
    labels = [label for label, _ in named]
    numbered = []
    for index, (label, runs) in enumerate(named):
        number = labels[: index + 1].count(label)
        numbered.append((label if labels.count(label) == 1 else f"{label} #{number}", runs))
    return numbered

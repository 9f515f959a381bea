"""Recipes to shards: rendered by several processes, resumed after an interruption, the same bytes every time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soxr
from tqdm import tqdm

from fold.data.corpora.base import SPLITS, Corpus, Recipe, Utterance
from fold.data.corpora.in_place import InPlace
from fold.data.index import Shard, Split
from fold.data.pointers import describe_pointers, write_pointers
from fold.data.shards import describe_shard, read_samples, read_sidecar, sidecar_path, write_shard
from fold.data.sources import Earlier, Source, Wanted, write_sources
from fold.errors import FoldError
from fold.processes import blocked, end_with_parent

UTTERANCES_PER_SHARD = 250


@dataclass(frozen=True)
class ShardJob:
    """One shard to write: the unit of work, so that its bytes depend on nothing but its recipes.

    recipes: with transcripts as somebody wrote them; written: the same with transcripts as they are to be written;
    earlier: utterances that need not be made again, by id and digest of the recipe.
    """

    corpus: Corpus
    root: Path | None
    sample_rate: int
    split: str
    subset: str
    path: Path
    recipes: Sequence[Recipe]
    written: Sequence[Recipe]
    earlier: Mapping[tuple[str, str], Earlier] = field(default_factory=dict)

    def wanted(self) -> list[Wanted]:
        """What the shard is made from."""
        return [Wanted(recipe, self.corpus.sources(recipe, self.root)) for recipe in self.written]


def shard_jobs(
    corpus: Corpus,
    folder: Path,
    root: Path | None,
    sample_rate: int,
    recipes: Mapping[str, Mapping[str, Sequence[Recipe]]],
    written: Mapping[str, Mapping[str, Sequence[Recipe]]],
) -> list[ShardJob]:
    """The shards of a corpus, in order; a shard is of one subset. recipes, written: by split and subset."""
    jobs = []
    for split, subsets in recipes.items():
        parts = [
            (subset, part)
            for subset, listed in subsets.items()
            for part in (_of_places(listed) if corpus.in_place else _of_size(listed))
        ]
        for number, (subset, part) in enumerate(parts):
            path = folder / f"{split}-{number:06d}.tar"
            both = (subsets[subset][part], written[split][subset][part])
            jobs.append(ShardJob(corpus, root, sample_rate, split, subset, path, *both))
    return jobs


def _of_size(recipes: Sequence[Recipe]) -> list[slice]:
    starts = range(0, len(recipes), UTTERANCES_PER_SHARD)
    return [slice(start, start + UTTERANCES_PER_SHARD) for start in starts]


def _of_places(recipes: Sequence[Recipe]) -> list[slice]:
    """One for each shard of somebody else's."""
    places = [recipe.place for recipe in recipes if isinstance(recipe, InPlace)]
    starts = [n for n, place in enumerate(places) if n == 0 or place != places[n - 1]]
    return [slice(*ends) for ends in pairwise([*starts, len(places)])]


class Outcome(NamedTuple):
    """What became of a shard. shard: its entry in the index, None if recordings could not be used; refused: those, and
    why; notices: what is wrong with others."""

    shard: Shard | None
    refused: list[str]
    notices: list[str]


def render(jobs: Sequence[ShardJob], name: str, num_workers: int | None) -> list[Outcome]:
    """Writes the shards that are not there yet. Returns what became of each.

    name: of the corpus, for the progress bar; num_workers: processes, None for the cores this process may use.
    Raises FoldError if a shard cannot be written or holds something else, a worker dies, or the user interrupts.
    """
    context = multiprocessing.get_context("spawn")
    rendered, stop = context.Value("q", 0), context.Event()
    pool = ProcessPoolExecutor(
        num_workers or _num_cores(),
        mp_context=context,
        initializer=_start_worker,
        initargs=(rendered, stop),
    )
    total = sum(len(job.recipes) for job in jobs)
    with (
        _interrupts() as seen,
        pool,
        tqdm(total=total, desc=f"preparing {name}", unit="utterance", disable=None) as bar,
    ):
        try:
            with blocked([signal.SIGINT]):  # a terminal sends it to all: the parent stops them
                futures = [pool.submit(_render_shard, job) for job in jobs]
            pending: set[Future[Outcome]] = set(futures)
            while pending:
                done, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
                bar.update(rendered.value - bar.n)
                for future in done:
                    future.result()
                if seen:
                    raise FoldError("preparation interrupted; the same command goes on where it stopped")
        except BrokenProcessPool as error:
            raise FoldError(
                "a worker process died (out of memory?); run again, with fewer workers, to go on"
            ) from error
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
    return [future.result() for future in futures]


def splits(jobs: Sequence[ShardJob], shards: Sequence[Shard]) -> dict[str, Split]:
    """Describes shards, one a job, by split."""
    written = {job.path: shard for job, shard in zip(jobs, shards, strict=True)}
    return {split: _split([job for job in jobs if job.split == split], written) for split in SPLITS}


def _split(jobs: Sequence[ShardJob], written: dict[Path, Shard]) -> Split:
    seconds = [read_sidecar(job.path)["num_samples"] / job.sample_rate for job in jobs]
    return Split.of((replace(written[job.path], subset=job.subset) for job in jobs), np.concatenate(seconds))


class _Worker:
    """What a worker process shares with the one that started it."""

    rendered: Any
    stop: Any


def _start_worker(rendered: Any, stop: Any) -> None:
    _Worker.rendered, _Worker.stop = rendered, stop
    end_with_parent()


def _render_shard(job: ShardJob) -> Outcome:
    refused: list[str] = []
    notices: list[str] = []
    try:
        if job.corpus.in_place:
            shard = _point(job, notices)
        elif sidecar_path(job.path).exists():
            shard = describe_shard(job.path, job.sample_rate)
            _count(len(job.recipes))
        else:
            shard = write_shard(job.path, _utterances(job, refused, notices), job.sample_rate)
    except _Refused:
        return Outcome(None, refused, notices)
    except OSError as error:
        raise FoldError(f"cannot write {job.path}: {error}") from error
    if shard.utterances != len(job.recipes):
        raise FoldError(f"{job.path} holds {shard.utterances} utterances, not {len(job.recipes)}; delete it")
    return Outcome(shard, refused, notices)


def _point(job: ShardJob, notices: list[str]) -> Shard:
    """Writes a shard that points into one of somebody else's, unless it is there."""
    recipes = [recipe for recipe in job.written if isinstance(recipe, InPlace)]
    notices += [f"{recipe.place}, {recipe.id}: {recipe.fault}" for recipe in recipes if recipe.fault]
    _count(len(recipes))
    if sidecar_path(job.path).exists():
        return describe_pointers(job.path, recipes, job.sample_rate)
    write_sources(job.path, [Source.of(recipe, ()) for recipe in recipes])  # before the sidecar, as of other shards
    return write_pointers(job.path, recipes, job.sample_rate)


class _Refused(Exception):
    """Raised where a shard would lack utterances."""


def _utterances(job: ShardJob, refused: list[str], notices: list[str]) -> Iterator[Utterance]:
    """Yields the utterances of a shard; of those that cannot be used, all are found before it ends with _Refused."""
    sources = []
    for recipe, written in zip(job.recipes, job.written, strict=True):
        if _Worker.stop.is_set():
            raise FoldError("stopped")
        try:
            source = Source.of(written, job.corpus.sources(recipe, job.root))
            utterance = _made_earlier(job, recipe, source) or _resampled(
                job.corpus.render(recipe, job.root), job.sample_rate
            )
        except FoldError as error:
            refused.append(str(error))
        else:
            sources.append(source)
            notices += utterance.notices
            yield replace(utterance, text=written.text)
        _count(1)
    if refused:
        raise _Refused
    write_sources(job.path, sources)  # before the sidecar, with which the shard is there


def _made_earlier(job: ShardJob, recipe: Recipe, source: Source) -> Utterance | None:
    """The utterance out of a shard that is being replaced, if nothing that it was made from has changed."""
    found = job.earlier.get((recipe.id, source.recipe))
    if found is None or [f.digest for f in found.source.files] != [f.digest for f in source.files]:
        return None
    samples = read_samples(found.shard, found.row)
    return Utterance(recipe.id, recipe.text, recipe.speaker, samples, job.sample_rate)


def _count(utterances: int) -> None:
    with _Worker.rendered.get_lock():
        _Worker.rendered.value += utterances


def _resampled(utterance: Utterance, sample_rate: int) -> Utterance:
    if utterance.sample_rate == sample_rate:
        return utterance
    samples = soxr.resample(utterance.samples, utterance.sample_rate, sample_rate)
    return replace(utterance, samples=samples, sample_rate=sample_rate)


def _num_cores() -> int:
    # Not every system can say which cores this process may use.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Notes Ctrl-C in a list. Raised wherever it comes, it could leave a lock held that the workers wait for."""
    seen: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # there it does not come
        yield seen
        return
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)

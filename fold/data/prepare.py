"""Corpus to shards: rendered in parallel, resumed after an interruption, the same bytes every time."""

import hashlib
import json
import multiprocessing
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from tqdm import tqdm

from fold.data.corpora.base import SPLITS, Corpus, Recipe, Utterance
from fold.data.index import INDEX_FILE, Index, Shard, Split, read_index, write_index
from fold.data.shards import describe_shard, read_sidecar, sidecar_path, write_shard
from fold.errors import FoldError
from fold.files import LOCK_FILE, PART_SUFFIX, locked, write_json
from fold.text.units import UnitsConfig, train_units

LAYOUT = 2
"""Of the shards; a new one gives every prepared folder another name."""
UTTERANCES_PER_SHARD = 250
Subsets = dict[str, Sequence[Recipe]]
DESCRIPTION_FILE = "description.json"
DOWNLOADS_FOLDER = "downloads"
"""Beside the prepared folders: what was fetched is kept and shared by all settings."""


def prepared_name(corpus: Corpus, sample_rate: int, units: UnitsConfig) -> str:
    """Return the name of the prepared folder for these settings; other settings get another name."""
    description = json.dumps(_describe(corpus, sample_rate, units), sort_keys=True)
    return f"{corpus.name.lower()}-{hashlib.sha256(description.encode()).hexdigest()[:8]}"


def prepare(
    corpus: Corpus,
    folder: Path,
    *,
    root: Path | None,
    sample_rate: int,
    units: UnitsConfig,
    num_workers: int | None = None,
) -> Index:
    """Write a corpus as shards into `folder`; a folder already finished is returned at once.

    May be interrupted at any moment: the next call reuses the finished shards. Of two calls at
    once, the second waits for the first. The bytes do not depend on `num_workers`.

    Args:
        corpus: what to prepare.
        folder: where to; see `prepared_folder`.
        root: where the recordings lie; None downloads or synthesises them.
        sample_rate: of the shards, in Hz.
        units: output units to train on the training transcripts.
        num_workers: processes; None takes the cores this process may use.

    Raises:
        FoldError: the folder holds something else, the root is wrong, or a recording is bad; or the user
            interrupted.
    """
    with locked(folder):
        settings = _describe(corpus, sample_rate, units)
        held = _read_description(folder)
        _check_same(folder, held, settings)
        finished = (folder / INDEX_FILE).exists()
        if finished and root is None:
            return read_index(folder)

        root = corpus.locate(root, folder.parent / DOWNLOADS_FOLDER)
        recipes = {split: _checked(corpus, split, corpus.subsets(split, root)) for split in SPLITS}
        # The settings do not say which recordings the root held; the recipes do.
        settings["recipes"] = _digest(recipes)
        _check_same(folder, held, settings)
        if finished:
            return read_index(folder)

        trained = train_units(units, [recipe.text for listed in recipes["train"].values() for recipe in listed])
        write_json(folder / DESCRIPTION_FILE, settings)
        for leftover in folder.glob(f"*{PART_SUFFIX}"):
            leftover.unlink()
        splits = _render(_jobs(corpus, folder, root, sample_rate, recipes), corpus.name, num_workers)
        index = Index(settings["corpus"], sample_rate, trained.to_dict(), splits)
        write_index(folder, index)
    print(_summary(folder, index))
    return index


def _describe(corpus: Corpus, sample_rate: int, units: UnitsConfig) -> dict[str, Any]:
    return {
        "format": LAYOUT,
        "corpus": corpus.describe(),
        "sample_rate": sample_rate,
        "units": asdict(units),
    }


def _read_description(folder: Path) -> dict[str, Any] | None:
    try:
        return json.loads((folder / DESCRIPTION_FILE).read_bytes())
    except FileNotFoundError:
        own = (LOCK_FILE, DESCRIPTION_FILE + PART_SUFFIX)
        foreign = [path.name for path in folder.iterdir() if path.name not in own]
        if foreign:
            raise FoldError(f"{folder} is not empty ({foreign[0]}) and holds no prepared corpus") from None
        return None
    except ValueError as error:
        raise FoldError(f"{folder / DESCRIPTION_FILE} is damaged ({error}); delete {folder}") from error


def _check_same(folder: Path, held: dict[str, Any] | None, wanted: dict[str, Any]) -> None:
    if held is None:
        return
    for key, value in wanted.items():
        if held.get(key) != value:
            found = json.dumps(held.get(key))
            raise FoldError(f"{folder} was prepared with {key} {found}, not {json.dumps(value)}; delete it")


def _checked(corpus: Corpus, split: str, subsets: Subsets) -> Subsets:
    for name, recipes in subsets.items() or [(split, ())]:
        if not recipes:
            where = f"the split '{split}'" if name == split else f"the subset '{name}' of the split '{split}'"
            raise FoldError(f"{corpus.name}: {where} has no utterances; check the corpus settings")
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise FoldError(f"{corpus.name}: the name of the subset '{name}' may hold letters, digits, - _ and . only")
    ids = Counter(recipe.id for recipes in subsets.values() for recipe in recipes)
    id, times = ids.most_common(1)[0]
    if times > 1:
        raise FoldError(f"{corpus.name}: two utterances of the split '{split}' have the same id, '{id}'")
    return subsets


def _digest(recipes: dict[str, Subsets]) -> str:
    digest = hashlib.sha256()
    for subsets in recipes.values():
        for name, listed in subsets.items():
            for recipe in listed:
                digest.update(json.dumps([name, asdict(recipe)], sort_keys=True).encode())
    return digest.hexdigest()


@dataclass(frozen=True)
class _Job:
    """One shard to write: the unit of work, so that its bytes depend on nothing but its recipes."""

    corpus: Corpus
    root: Path | None
    sample_rate: int
    split: str
    subset: str
    path: Path
    recipes: Sequence[Recipe]


def _jobs(corpus: Corpus, folder: Path, root: Path | None, sample_rate: int, recipes: dict[str, Subsets]) -> list[_Job]:
    jobs = []
    for split, subsets in recipes.items():
        parts = [
            (subset, listed[start : start + UTTERANCES_PER_SHARD])
            for subset, listed in subsets.items()
            for start in range(0, len(listed), UTTERANCES_PER_SHARD)
        ]
        for number, (subset, part) in enumerate(parts):
            path = folder / f"{split}-{number:06d}.tar"
            jobs.append(_Job(corpus, root, sample_rate, split, subset, path, part))
    return jobs


def _render(jobs: list[_Job], name: str, num_workers: int | None) -> dict[str, Split]:
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
            with _interrupt_blocked():
                futures = [pool.submit(_render_shard, job) for job in jobs]
            pending: set[Future[Shard]] = set(futures)
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
    written = {job.path: future.result() for job, future in zip(jobs, futures, strict=True)}
    return {name: _split([job for job in jobs if job.split == name], written) for name in SPLITS}


def _split(jobs: list["_Job"], written: dict[Path, Shard]) -> Split:
    seconds = [read_sidecar(job.path)["num_samples"] / job.sample_rate for job in jobs]
    return Split.of((replace(written[job.path], subset=job.subset) for job in jobs), np.concatenate(seconds))


class _Worker:
    """What a worker process shares with the one that started it."""

    rendered: Any
    stop: Any


def _start_worker(rendered: Any, stop: Any) -> None:
    _Worker.rendered, _Worker.stop = rendered, stop
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Leave no worker behind when the parent is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _render_shard(job: _Job) -> Shard:
    try:
        if sidecar_path(job.path).exists():
            shard = describe_shard(job.path, job.sample_rate)
            _count(len(job.recipes))
        else:
            shard = write_shard(job.path, _utterances(job), job.sample_rate)
    except OSError as error:
        raise FoldError(f"cannot write {job.path}: {error}") from error
    if shard.utterances != len(job.recipes):
        raise FoldError(f"{job.path} holds {shard.utterances} utterances, not {len(job.recipes)}; delete it")
    return shard


def _utterances(job: _Job) -> Iterator[Utterance]:
    for recipe in job.recipes:
        if _Worker.stop.is_set():
            raise FoldError("stopped")
        yield _resampled(job.corpus.render(recipe, job.root), job.sample_rate)
        _count(1)


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


@contextmanager
def _interrupt_blocked() -> Iterator[None]:
    """Start processes that never see Ctrl-C, which a terminal sends to all: the parent stops them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _summary(folder: Path, index: Index) -> str:
    lines = [
        f"  {name}: {split.utterances} utterances, {split.seconds / 3600:.2f} h in {len(split.shards)} shards"
        + (f" ({', '.join(split.subsets)})" if len(split.subsets) > 1 else "")
        for name, split in index.splits.items()
    ]
    return "\n".join([f"prepared {folder}", *lines])

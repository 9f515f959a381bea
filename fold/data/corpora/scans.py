"""Scans of shards that somebody else wrote: each read once, and again only when it has changed."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import IO, Any, NamedTuple

from tqdm import tqdm

from fold.data.corpora.tars import Layout, Listen, Sample, Sound, scan
from fold.data.download import complete, is_url
from fold.errors import FoldError
from fold.files import checksum, write_json

log = logging.getLogger(__name__)

VERSION = 4


class Scan(NamedTuple):
    """A shard and what is in it. place: its path or URL."""

    place: str
    num_bytes: int
    sha256: str
    samples: list[Sample]


class Scanner:
    """Scans shards, several at a time.

    folder: where scans are kept; layout: of the shards; listen: reads their recordings; settings: of what it does.
    """

    def __init__(self, folder: Path, layout: Layout, listen: Listen, settings: Sequence[object]) -> None:
        self.folder = folder
        self.layout = layout
        self.listen = listen
        self.settings = json.dumps([VERSION, asdict(layout), *settings], sort_keys=True)
        self.stop = Event()

    def scan(self, places: Sequence[str], name: str) -> list[Scan]:
        """Return what is in shards. name: of the corpus. Raises FoldError if one cannot be had or is damaged."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            futures = [pool.submit(self._scan, place) for place in places]
            try:
                bar = tqdm(futures, desc=f"indexing {name}", unit="shard", disable=None)
                return [future.result() for future in bar]
            finally:  # also of an interrupt
                self.stop.set()
                pool.shutdown(cancel_futures=True)
                self.stop.clear()

    def _scan(self, place: str) -> Scan:
        file = self.folder / f"{hashlib.sha256(f'{place} {self.settings}'.encode()).hexdigest()[:24]}.json"
        state = None if is_url(place) else _state(place)
        known = _read(file, state)
        if known is not None:
            return known
        if state is None:
            with TemporaryDirectory(dir=self.folder) as folder:
                part = Path(folder) / "shard.tar"
                complete(place, part, sha256=None, quiet=True)
                found = self._scan_file(place, part)
        else:
            found = self._scan_file(place, Path(place))
        write_json(file, {"state": state, "scan": found})
        notices = [sample for sample in found.samples if sample.notice]
        if notices:
            log.warning(f"{place}: {len(notices)} recordings with flaws, such as {notices[0].notice}")
        return found

    def _scan_file(self, place: str, path: Path) -> Scan:
        try:
            with path.open("rb") as stream:
                samples = scan(place, stream, self.layout, self._listen)
            return Scan(place, path.stat().st_size, checksum(path), samples)
        except OSError as error:
            raise FoldError(f"{place}: cannot be read ({error.strerror})") from None

    def _listen(self, name: str, stream: IO[bytes]) -> Sound:
        if self.stop.is_set():
            raise InterruptedError
        return self.listen(name, stream)


def _state(place: str) -> list[int]:
    """How a file looks. Raises FoldError if there is none."""
    try:
        found = os.stat(place)
    except OSError as error:
        raise FoldError(f"{place}: cannot be read ({error.strerror})") from None
    return [found.st_size, found.st_mtime_ns]


def _read(file: Path, state: list[int] | None) -> Scan | None:
    """An earlier scan, if it is of a file that looks the same."""
    try:
        held: dict[str, Any] = json.loads(file.read_bytes())
        place, num_bytes, sha256, samples = held["scan"]
        found = Scan(place, num_bytes, sha256, [Sample(*sample) for sample in samples])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if held["state"] == state else None

"""Runs of a study: each is trained once, and leaves its evaluations as small files in studies/results/."""

from __future__ import annotations

import argparse
import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from fold.report.record import Record, read_record, write_record

RESULTS = Path(__file__).parent / "results"
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}  # a training each core: small layers use two threads badly
TRAINING = (
    "--trainer.devices=1",
    "--trainer.enable_progress_bar=false",
    "--data.num_workers=0",
)
PLACES = ("shards", "root", "cache")


@dataclass(frozen=True)
class Run:
    """One training. study, name: of its files; experiment, corpus: YAML files; options: its changes; seed: of
    initialisation, data order and paths."""

    study: str
    name: str
    experiment: str
    corpus: str
    options: tuple[str, ...] = ()
    seed: int = 1

    @property
    def label(self) -> str:
        return f"{self.name.replace(' ', '_')}-{self.corpus}-seed{self.seed}"

    @property
    def folder(self) -> Path:
        return Path("runs") / "studies" / self.study / self.label

    def file(self, split: str) -> Path:
        """Where the record of an evaluation stays."""
        return RESULTS / self.study / f"{self.label}-{split}.json"

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoints" / "last.ckpt"

    @property
    def finished(self) -> bool:
        return self.file("dev").exists() and self.file("test").exists()

    def record(self, split: str) -> Record:
        return read_record(self.file(split))

    def arguments(self) -> list[str]:
        """Of `fold fit`, without what depends on the machine."""
        configs = [f"--config=experiments/{self.experiment}.yaml", f"--config=data/{self.corpus}.yaml"]
        return [*configs, *TRAINING, *self.options, f"--random_seed={self.seed}"]

    def train(self, places: Sequence[str]) -> None:
        """Trains, sweeps test and dev, and keeps both records. An interrupted training goes on. places: options that
        tell where the corpus lies."""
        fold("fit", *self.arguments(), *places, "--ckpt_path=last", f"--run_dir={self.folder}")
        fold("sweep", f"--ckpt_path={self.checkpoint}", "--split=dev", f"--output={self.folder}/dev")
        for split, folder in (("test", self.folder), ("dev", self.folder / "dev")):
            keep(folder / "depth_sweep.json", self.file(split))


@dataclass(frozen=True)
class Options:
    """Of a study's command. jobs: trainings at a time; page_only: train nothing; places: of each corpus (see
    `Run.train`)."""

    jobs: int
    page_only: bool
    places: dict[str, list[str]]


def options_of(description: str | None) -> Options:
    """Reads the command line of a study."""
    parser = parser_of(description)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="trainings at a time")
    parser.add_argument("--page-only", action="store_true", help="make the tables of what is finished, train nothing")
    arguments = parser.parse_args()
    return Options(arguments.jobs, arguments.page_only, places_of(arguments))


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """Knows where the corpora lie."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", help="where the Free Spoken Digit Dataset lies (default: downloaded)")
    parser.add_argument("--shards", default="shards", help="folder of prepared corpora")
    return parser


def places_of(arguments: argparse.Namespace) -> dict[str, list[str]]:
    """Of each corpus, as options of `fold fit`."""
    shards = f"--data.shards={arguments.shards}"
    root = [f"--data.root={arguments.root}"] if arguments.root else []
    return {"commands": [shards], "fsdd": [shards, *root]}


def keep(written: Path, file: Path) -> None:
    """Keeps a record without the places that its data had on this machine."""
    record = read_record(written)
    data = {name: value for name, value in record.settings["data"].items() if name not in PLACES}
    write_record(dataclasses.replace(record, settings={**record.settings, "data": data}), file)


def fold(*arguments: str) -> None:
    """Runs a command of fold, which knows the variants, with one thread; ends this process with its last line if it
    fails."""
    command = [sys.executable, "-m", "studies.variants", *arguments]
    done = subprocess.run(command, env=ONE_THREAD, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"fold {' '.join(arguments)}: {(done.stderr.strip() or 'failed').splitlines()[-1]}")


def train_all(runs: Iterable[Run], places: dict[str, Sequence[str]], jobs: int) -> None:
    """Trains what is not finished, `jobs` at a time. places: of each corpus (see `Run.train`)."""
    waiting = [run for run in runs if not run.finished]
    with ThreadPoolExecutor(jobs) as pool, tqdm(total=len(waiting), unit="run", disable=not waiting) as bar:
        started = {pool.submit(run.train, places[run.corpus]): run for run in waiting}
        for done in as_completed(started):
            if done.exception():
                pool.shutdown(cancel_futures=True)
                sys.exit(str(done.exception()))
            run = started[done]
            wers = {depth: round(row.wer, 2) for depth, row in run.record("dev").canonical.items()}
            bar.write(f"{run.label}: dev WER {wers}")
            bar.update()

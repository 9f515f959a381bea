"""Runs of a study: each is trained once, and leaves its evaluations in the archives of studies/results/."""

from __future__ import annotations

import argparse
import dataclasses
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

from tqdm import tqdm

from fold.files import checksum
from fold.models.foundation.weights import SAFETENSORS
from fold.report.archive import SUFFIX, Archive, keep, read_archive
from fold.report.record import Record, read_record

RESULTS = Path(__file__).parent / "results"
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}  # one training per core: small layers make poor use of two threads
TRAINING = (
    "--trainer.devices=1",
    "--trainer.enable_progress_bar=false",
    "--data.num_workers=0",
    "--model.canonical_order=even",  # of the first records
)
# Of conformer_fold until the end of November 2026, and of the studies before and after:
UPDATES_1800 = ("--trainer.max_steps=1800", "--trainer.val_check_interval=360")
LONG_TEST = "--data.corpus.test_utterances=1800"  # of `commands`: its 600, then more, 10,000 words in all
GROWN = "{alone: 0.25, grown: 0.6}"
GROWTH = f"--model.sampler.init_args.growth={GROWN}"
ADAMW = (  # of the small Conformers until Muon took its place
    "--model.optimizer={class_path: torch.optim.AdamW, "
    "init_args: {lr: 3.0e-3, betas: [0.95, 0.98], weight_decay: 0.01, fused: true}}"
)
SEED = "--random_seed=SEED"
PLACES = ("shards", "root", "cache")
PRETRAINED = "pretrained"  # in the settings of a kept record: the checksum of the weights that the run began with


@dataclass(frozen=True)
class Run:
    """One training. study, name: of its files; experiment, corpus: YAML files; options: its changes; seed: of
    initialisation, data order and paths; source: directory of the foundation model that it was made from, if any. A run
    from other weights, because that model was trained anew, is another run: it is not finished, and starts anew."""

    study: str
    name: str
    experiment: str
    corpus: str
    options: tuple[str, ...] = ()
    seed: int = 1
    source: Path | None = None

    @property
    def label(self) -> str:
        return f"{self.name.replace(' ', '_')}-{self.corpus}-seed{self.seed}"

    @property
    def key(self) -> str:
        """Names the run in an archive."""
        return f"{self.study}/{self.name.replace(' ', '_')}/seed{self.seed}"

    @property
    def folder(self) -> Path:
        weights = self.weights[:8]
        return Path("runs") / "studies" / self.study / (f"{self.label}-{weights}" if weights else self.label)

    @property
    def weights(self) -> str:
        """Checksum of its source's; empty if it has none or that is not on this machine."""
        return weights_of(self.source) if self.source else ""

    def archive(self, split: str) -> Path:
        """Where evaluations on a split of its corpus are kept, those of other runs too."""
        kind = f"{split}-long" if split == "test" and LONG_TEST in self.options else split
        return RESULTS / f"{self.corpus}-{kind}{SUFFIX}"

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoints" / "last.ckpt"

    @property
    def finished(self) -> bool:
        return self.evaluated("dev") and self.evaluated("test")

    def evaluated(self, split: str) -> bool:
        known = self.archive(split).exists() and self.key in opened(self.archive(split)).plain
        return known and self.weights in ("", self.made_from(split))

    def made_from(self, split: str) -> str:
        """Checksum of the weights that its kept record says it began with; empty if it does not say."""
        return str(self.record(split).settings.get(PRETRAINED, ""))

    def record(self, split: str) -> Record:
        return parsed(opened(self.archive(split)), self.key)

    def keep(self, split: str, written: Path) -> None:
        """Keeps a record in the archive of a split, without the places that its data had on this machine."""
        record = read_record(written)
        data = {name: value for name, value in record.settings["data"].items() if name not in PLACES}
        settings = {**record.settings, "data": data, **({PRETRAINED: self.weights} if self.weights else {})}
        keep(self.archive(split), {self.key: dataclasses.replace(record, settings=settings)})

    def arguments(self) -> list[str]:
        """Of `fold fit`, without what depends on the machine."""
        configs = [f"--config=experiments/{self.experiment}.yaml", f"--config=data/{self.corpus}.yaml"]
        return [*configs, *TRAINING, *self.options, f"--random_seed={self.seed}"]

    def train(self, places: Sequence[str]) -> None:
        """Trains, sweeps test and dev, and keeps both records. An interrupted training goes on. places: options that
        say where the corpus lies."""
        fold("fit", *self.arguments(), *places, "--ckpt_path=last", f"--run_dir={self.folder}")
        fold("sweep", f"--ckpt_path={self.checkpoint}", "--split=dev", f"--output={self.folder}/dev")
        for split, folder in (("test", self.folder), ("dev", self.folder / "dev")):
            self.keep(split, folder / "depth_sweep.json")


@dataclass(frozen=True)
class Options:
    """Of a study's command.

    Attributes:
        jobs: trainings at a time.
        page_only: train nothing.
        places: of each corpus (see `Run.train`).
    """

    jobs: int
    page_only: bool
    places: dict[str, list[str]]


def options_of(description: str | None, runs: Callable[[], Iterable[Run]]) -> Options:
    """Reads the command line of a study. runs: all of them, of which `--commands` prints how they are trained and, as
    `--help` does, ends the process."""
    parser = parser_of(description)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="trainings at a time")
    parser.add_argument("--page-only", action="store_true", help="make the tables of what is finished, train nothing")
    parser.add_argument(
        "--commands",
        nargs="?",
        const="*",
        metavar="NAME",
        help="print the commands of all runs, or of those whose name matches a pattern such as 'physical*'",
    )
    arguments = parser.parse_args()
    if arguments.commands:
        print(commands(runs(), arguments.commands))
        sys.exit()
    return Options(arguments.jobs, arguments.page_only, places_of(arguments))


def commands(runs: Iterable[Run], pattern: str) -> str:
    """How the runs whose name matches are trained: a command for each system and corpus, of which SEED is the seed."""
    systems: dict[tuple[str, str], list[Run]] = {}
    for run in dict.fromkeys(runs):
        if fnmatchcase(run.name, pattern):
            systems.setdefault((run.name, run.corpus), []).append(run)
    lines = []
    for (name, corpus), alike in systems.items():
        *arguments, _ = map(shlex.quote, alike[0].arguments())
        seeds = ", ".join(str(run.seed) for run in alike)
        lines += [f"# {name}, {corpus}: SEED {seeds}", f"python -m studies.variants fit {' '.join(arguments)} {SEED}"]
    return "\n".join(lines) or f"no run is called {pattern}"


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
    return {"commands": [shards], "sentences": [shards], "fsdd": [shards, *root]}


def opened(archive: Path) -> Archive:
    """Reads an archive, once for each state of its file."""
    state = archive.stat()
    return _opened(archive, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=8)
def _opened(archive: Path, *state: int) -> Archive:
    return read_archive(archive)


@lru_cache(maxsize=512)
def parsed(archive: Archive, key: str) -> Record:
    """The evaluation of that name, taken apart and checked once."""
    return archive.record(key)


def weights_of(source: Path) -> str:
    """What tells the weights of a Hugging Face directory from others': their checksum; empty if they are not there."""
    file = source / SAFETENSORS
    if not file.exists():
        return ""
    state = file.stat()
    return _weights_of(file.resolve(), state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=8)
def _weights_of(file: Path, *state: int) -> str:
    return checksum(file)


def from_one_source(runs: Iterable[Run]) -> None:
    """Ends this process with a line if kept records are of runs from different pre-trained weights."""
    found: dict[str, Run] = {}
    for run in runs:
        found.setdefault(run.made_from("test"), run)
    if len(found) > 1:
        told = "; ".join(f"{run.key}: {weights[:8] or 'unknown'}" for weights, run in found.items())
        sys.exit(f"{told}: made from different pre-trained weights; train them again from one source")


def fold(*arguments: str) -> None:
    """Runs a command of fold, which knows the variants, with one thread; ends this process with its last line if it
    fails."""
    command = [sys.executable, "-m", "studies.variants", *arguments]
    done = subprocess.run(command, env=ONE_THREAD, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"fold {' '.join(arguments)}: {(done.stderr.strip() or 'failed').splitlines()[-1]}")


def pretrain(source: Path, arguments: Sequence[str], places: Sequence[str]) -> None:
    """Trains a foundation model and leaves it in a Hugging Face directory, in the folder of its run, unless it is
    there. An interrupted training goes on. arguments: of `fold fit`; places: as of `Run.train`."""
    if source.exists():
        return
    fold("fit", *arguments, *places, "--ckpt_path=last", f"--run_dir={source.parent}")
    fold("export", "--to=huggingface", f"--ckpt_path={source.parent}/checkpoints/last.ckpt", f"--output={source}")


def train_methods(methods: Mapping[str, Sequence[Run]], options: Options) -> None:
    """Trains each method once, then each again with the next seed, unless only pages are wanted."""
    if not options.page_only:
        for runs in zip(*methods.values(), strict=True):
            train_all(runs, options.places, options.jobs)


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

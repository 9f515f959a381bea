"""Folds a foundation model of our own and compares full, compact and folded on unheard voices and recorded digits.

    python -m benchmarks.foundation --root path/to/fsdd

Trains wav2vec2_small_full on the default corpus and exports it: one foundation model, as a published one would be. From
that export it fine-tunes, for each seed and on both corpora, all 6 layers (full), 4 of them (compact) and 4 unfolded to
6 (fold), each for the same updates; the first seed also with other choices of the layers that stay, and without any
fine-tuning. Every finished run leaves one small JSON file in benchmarks/results/; the study goes on where it was
interrupted.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import fmean, stdev

from benchmarks.study import RESULTS, fold

SEEDS = (1, 2, 3)
CORPORA = {"commands": (), "fsdd": ("--data.sample_rate=16000",)}
QUIET = ("--trainer.enable_progress_bar=false", "--data.num_workers=0")
ALONE = ("--trainer.devices=1", "--data.batch_seconds=50")  # one process each: two trainings share two cores
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}
FINE_TUNING_STEPS = 400
COMPACT, FOLD = "wav2vec2_small_compact", "wav2vec2_small_fold"
SYSTEMS: dict[str, tuple[str, ...]] = {  # experiment, then its changes
    "full": (COMPACT, "--model.network.num_layers=6"),
    "compact": (COMPACT,),
    "fold": (FOLD,),
}
CHOICES: dict[str, tuple[str, ...]] = {  # of the first seed alone
    "fold_first": (FOLD, "--model.network.keep=first"),
    "fold_mean": (FOLD, "--model.network.keep=mean"),
    "untrained_full": (COMPACT, "--model.network.num_layers=6", "--trainer.max_steps=0"),
    "untrained_even": (FOLD, "--trainer.max_steps=0"),
    "untrained_first": (FOLD, "--model.network.keep=first", "--trainer.max_steps=0"),
    "untrained_mean": (FOLD, "--model.network.keep=mean", "--trainer.max_steps=0"),
}


@dataclass(frozen=True)
class Run:
    """One fine-tuning. system: a key of SYSTEMS or CHOICES."""

    system: str
    corpus: str
    seed: int

    @property
    def name(self) -> str:
        return f"foundation-{self.system}-{self.corpus}-seed{self.seed}"

    @property
    def result(self) -> Path:
        return RESULTS / f"{self.name}.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", help="where the Free Spoken Digit Dataset lies (default: downloaded)")
    parser.add_argument("--shards", default="shards", help="folder of prepared corpora")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time")
    arguments = parser.parse_args()
    shards = f"--data.shards={arguments.shards}"
    roots = {"commands": (), "fsdd": (f"--data.root={arguments.root}",) if arguments.root else ()}
    source = pretrain(shards)
    waiting = [run for run in runs() if not run.result.exists()]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for line in pool.map(lambda r: fine_tune(r, source, [shards, *roots[r.corpus]]), waiting):
            print(line, flush=True)
    print(table())


def runs() -> Iterator[Run]:
    for seed in SEEDS:
        systems = [*SYSTEMS, *(CHOICES if seed == SEEDS[0] else ())]
        yield from (Run(system, corpus, seed) for corpus in CORPORA for system in systems)


def seeded(seed: int) -> list[str]:
    return [f"--seed_everything={seed}", f"--data.seed={seed}", f"--model.seed={seed}"]


def fit(experiment: str, corpus: str, run_dir: Path, options: Sequence[str]) -> float:
    """Trains and sweeps the test split. Returns minutes."""
    configs = [f"--config=experiments/{experiment}.yaml", f"--config=data/{corpus}.yaml"]
    started = time.perf_counter()
    fold("fit", *configs, *QUIET, *options, f"--run_dir={run_dir}", environment=ONE_THREAD)
    return (time.perf_counter() - started) / 60


def pretrain(shards: str) -> Path:
    """The foundation model as a Hugging Face directory. An interrupted training goes on."""
    run_dir = Path("runs") / "studies" / "foundation"
    written = run_dir / "huggingface"
    if not written.exists():
        fit("wav2vec2_small_full", "commands", run_dir, ["--ckpt_path=last", shards])
        fold("export", f"--ckpt_path={run_dir}/checkpoints/last.ckpt", environment=ONE_THREAD)
    return written


def fine_tune(run: Run, source: Path, options: Sequence[str]) -> str:
    """Trains and evaluates one system, writes its result, and returns a line about it."""
    experiment, *changes = {**SYSTEMS, **CHOICES}[run.system]
    run_dir = Path("runs") / "studies" / run.name
    given = [f"--model.network.source={source}", f"--trainer.max_steps={FINE_TUNING_STEPS}", *CORPORA[run.corpus]]
    minutes = fit(experiment, run.corpus, run_dir, [*ALONE, *given, *changes, *seeded(run.seed), *options])
    result = {
        "experiment": experiment,
        "changes": changes,
        "corpus": run.corpus,
        "seed": run.seed,
        "test": outcome(run_dir),
        "minutes": round(minutes, 1),
        "date": date.today().isoformat(),
    }
    RESULTS.mkdir(exist_ok=True)
    run.result.write_text(json.dumps(result, indent=1) + "\n")
    return f"{run.name}: test WER {result['test']['wer_canonical']}"


def outcome(run_dir: Path) -> dict[str, object]:
    """What a sweep says, in brief."""
    with (run_dir / "depth_sweep.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    depths = sorted({int(row["depth"]) for row in rows})
    by_depth = {depth: [round(float(r["wer"]), 2) for r in rows if int(r["depth"]) == depth] for depth in depths}
    return {
        "num_params": int(rows[0]["num_params"]),
        "words": int(rows[0]["words"]),
        "wer_canonical": {int(r["depth"]): round(float(r["wer"]), 2) for r in rows if r["canonical"] == "True"},
        "wer_range": {depth: [min(wers), max(wers)] for depth, wers in by_depth.items()},
    }


def table() -> str:
    """The finished runs as Markdown: test WER in percent by executed depth, mean and deviation over seeds."""
    lines = [
        "| corpus | system | parameters | depth 4 | depth 5 | depth 6 | seeds |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for corpus in CORPORA:
        for system in (*SYSTEMS, *CHOICES):
            files = [
                run.result for run in runs() if (run.system, run.corpus) == (system, corpus) and run.result.exists()
            ]
            results = [json.loads(file.read_text())["test"] for file in files]
            if results:
                cells = [spread([r["wer_canonical"][d] for r in results if d in r["wer_canonical"]]) for d in "456"]
                row = [corpus, system.replace("_", " "), f"{results[0]['num_params']:,}", *cells, str(len(results))]
                lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


def spread(values: Sequence[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.2f}" if values else ""
    return f"{fmean(values):.2f} ± {stdev(values):.2f}"


if __name__ == "__main__":
    sys.exit(main())

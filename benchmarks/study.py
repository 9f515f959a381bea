"""Trains variants of an experiment over seeds and tabulates their dev WER: what the defaults rest on.

    python -m benchmarks.study distillation --root path/to/fsdd
    python -m benchmarks.study conv_norm --root path/to/fsdd

Every finished run leaves one small JSON file in benchmarks/results/; a study goes on where it was interrupted.
Choices are made on the dev split; the test split is not looked at.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import date
from pathlib import Path
from statistics import fmean

from tqdm import tqdm

RESULTS = Path(__file__).parent / "results"
SEEDS = (1, 2)
BASE = (
    "--config=experiments/conformer_fold.yaml",
    "--config=data/fsdd.yaml",
    "--trainer.max_steps=500",
    "--data.batch_seconds=32",
    "--trainer.enable_progress_bar=false",
    "--data.num_workers=0",
)
STUDIES: dict[str, dict[str, tuple[str, ...]]] = {
    "distillation": {
        "none": ("--model.objective.distillation={weight: 0.0, start: 0.0, end: 0.0}",),
        "constant": ("--model.objective.distillation={weight: 1.0, start: 0.0, end: 0.0}",),
        "ramped": ("--model.objective.distillation={weight: 1.0, start: 0.5, end: 1.0}",),
        "teacher_better": (
            "--model.objective.distillation={weight: 1.0, start: 0.0, end: 0.0}",
            "--model.objective.distil_where=teacher_better",
        ),
    },
    "conv_norm": {norm: (f"--model.network.conv_norm={norm}",) for norm in ("layer", "group", "batch")},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--root", help="where the Free Spoken Digit Dataset lies (default: downloaded)")
    parser.add_argument("--shards", default="shards", help="folder of prepared corpora")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time, which share the cores")
    arguments = parser.parse_args()
    common = [*BASE, f"--data.shards={arguments.shards}"]
    common += [f"--data.root={arguments.root}"] if arguments.root else []
    pending = [
        (variant, seed)
        for variant, seed in runs(arguments.study)
        if not result_file(arguments.study, variant, seed).exists()
    ]
    threads = max(1, (os.cpu_count() or 1) // arguments.jobs)
    with ThreadPoolExecutor(arguments.jobs) as pool, tqdm(total=len(pending), unit="run") as bar:
        jobs = [pool.submit(train, arguments.study, *run, common, threads) for run in pending]
        for job in as_completed(jobs):
            bar.write(job.result())
            bar.update()
    print(table(arguments.study))


def runs(study: str) -> Iterator[tuple[str, int]]:
    """Variants and seeds of a study, all variants of a seed together."""
    return ((variant, seed) for seed in SEEDS for variant in STUDIES[study])


def result_file(study: str, variant: str, seed: int) -> Path:
    return RESULTS / f"{study}-{variant}-seed{seed}.json"


def train(study: str, variant: str, seed: int, common: list[str], threads: int) -> str:
    """Trains and evaluates one variant, writes its result, and returns a line about it."""
    run_dir = Path("runs") / "studies" / f"{study}-{variant}-seed{seed}"
    seeds = [f"--seed_everything={seed}", f"--data.seed={seed}", f"--model.seed={seed}"]
    options = [*common, *STUDIES[study][variant], *seeds, f"--run_dir={run_dir}"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    started = time.perf_counter()
    fold("fit", *options, environment=environment)
    minutes = (time.perf_counter() - started) / 60
    checkpoint = run_dir / "checkpoints" / "last.ckpt"
    fold("sweep", f"--ckpt_path={checkpoint}", "--split=dev", f"--output={run_dir}", environment=environment)
    with (run_dir / "depth_sweep.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream)]
    result = {
        "variant": list(STUDIES[study][variant]),
        "seed": seed,
        "base": list(BASE),
        "num_params": int(rows[0]["num_params"]),
        "dev_wer_canonical": {row["depth"]: round(float(row["wer"]), 2) for row in rows if row["canonical"] == "True"},
        "dev_wer_mean_over_paths": round(fmean(float(row["wer"]) for row in rows), 2),
        "training_minutes": round(minutes, 1),
        "threads": threads,
        "date": date.today().isoformat(),
    }
    RESULTS.mkdir(exist_ok=True)
    result_file(study, variant, seed).write_text(json.dumps(result, indent=1) + "\n")
    return f"{variant}, seed {seed}: dev WER {result['dev_wer_canonical']}"


def fold(*arguments: str, environment: dict[str, str]) -> None:
    done = subprocess.run([sys.executable, "-m", "fold", *arguments], env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr.strip().splitlines()[-1])


def table(study: str) -> str:
    """The finished runs as Markdown: dev WER in percent of seed, middle and deepest depth, for each training seed."""
    lines = [f"| {study} | seed | mean over all paths | deepest |", "|---|---:|---:|---:|"]
    for variant in STUDIES[study]:
        files = [result_file(study, variant, seed) for seed in SEEDS]
        results = [json.loads(file.read_text()) for file in files if file.exists()]
        if not results:
            continue
        depths = list(results[0]["dev_wer_canonical"])
        cells = [
            " / ".join(f"{value:.1f}" for value in values)
            for values in (
                [result["dev_wer_canonical"][depths[0]] for result in results],
                [result["dev_wer_mean_over_paths"] for result in results],
                [result["dev_wer_canonical"][depths[-1]] for result in results],
            )
        ]
        lines.append(f"| {variant} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

"""Folds a foundation model of our own and compares full, compact and folded on unheard voices and recorded digits.

    python -m benchmarks.foundation --root path/to/fsdd

Trains wav2vec2_small_full on the default corpus and exports it: one foundation model, as a published one would be. From
that export it fine-tunes, for each seed and on both corpora, all 6 layers (full), 4 of them (compact) and 4 unfolded to
6 (fold), each for the same updates; the first seed also with other choices of the layers that stay, three times as
long, and without any fine-tuning. Every finished run leaves its records in benchmarks/results/foundation/; the study
goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from benchmarks.runs import Run, fold, train_all
from fold.report.compare import table as tables
from fold.report.compare.systems import group

STUDY = "foundation"
SEEDS = (1, 2, 3)
ALL_LAYERS = "--model.network.num_layers=6"
UPDATES = {"commands": 1200, "fsdd": 400}
CORPORA = {"commands": (), "fsdd": ("--data.sample_rate=16000",)}
COMPACT, FOLD = "wav2vec2_small_compact", "wav2vec2_small_fold"
SYSTEMS: dict[str, tuple[str, ...]] = {  # experiment, then its changes
    "full": (COMPACT, ALL_LAYERS),
    "compact": (COMPACT,),
    "fold": (FOLD,),
}
CHOICES: dict[str, tuple[str, ...]] = {  # of the first seed and the default corpus alone
    "fold_longer": (FOLD, "--trainer.max_steps=3600"),
    "full_longer": (COMPACT, ALL_LAYERS, "--trainer.max_steps=3600"),
    "fold_first": (FOLD, "--model.network.keep=first"),
    "fold_mean": (FOLD, "--model.network.keep=mean"),
    "untrained_full": (COMPACT, ALL_LAYERS, "--trainer.max_steps=0"),
    "untrained_even": (FOLD, "--trainer.max_steps=0"),
    "untrained_first": (FOLD, "--model.network.keep=first", "--trainer.max_steps=0"),
    "untrained_mean": (FOLD, "--model.network.keep=mean", "--trainer.max_steps=0"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", help="where the Free Spoken Digit Dataset lies (default: downloaded)")
    parser.add_argument("--shards", default="shards", help="folder of prepared corpora")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="trainings at a time")
    arguments = parser.parse_args()
    shards = f"--data.shards={arguments.shards}"
    root = [f"--data.root={arguments.root}"] if arguments.root else []
    source = pretrain(shards)
    train_all(runs(source), {"commands": [shards], "fsdd": [shards, *root]}, arguments.jobs)
    print(table(source))


def pretrain(shards: str) -> Path:
    """The foundation model as a Hugging Face directory. An interrupted training goes on."""
    run_dir = Path("runs") / "studies" / STUDY / "pretrained"
    written = run_dir / "huggingface"
    if not written.exists():
        configs = ["--config=experiments/wav2vec2_small_full.yaml", "--config=data/commands.yaml"]
        fold("fit", *configs, shards, "--ckpt_path=last", f"--run_dir={run_dir}")
        fold("export", f"--ckpt_path={run_dir}/checkpoints/last.ckpt")
    return written


def runs(source: Path) -> Iterator[Run]:
    """All runs; what the table needs most first."""
    for corpus in CORPORA:
        yield from (run(system, corpus, seed, source) for seed in SEEDS for system in SYSTEMS)
    yield from (run(system, "commands", SEEDS[0], source) for system in CHOICES)


def run(system: str, corpus: str, seed: int, source: Path) -> Run:
    experiment, *changes = {**SYSTEMS, **CHOICES}[system]
    fixed = [f"--model.network.source={source}", "--data.batch_seconds=50", f"--trainer.max_steps={UPDATES[corpus]}"]
    return Run(STUDY, system, experiment, corpus, (*fixed, *CORPORA[corpus], *changes), seed)


def table(source: Path) -> str:
    """The finished runs as Markdown, on the test split, a table a corpus."""
    texts = []
    for corpus in CORPORA:
        finished = [run for run in runs(source) if run.corpus == corpus and run.finished]
        if finished:
            records, labels = [run.record("test") for run in finished], [run.name for run in finished]
            systems = group(records, labels)
            full = next((system for system in systems if system.label == "full"), None)
            texts.append(f"{corpus}:\n\n{tables.to_markdown(tables.rows(systems, full, margin=1.0))}")
    return "\n".join(texts)


if __name__ == "__main__":
    main()

"""Folds a foundation model of our own and compares full, compact and folded on unheard voices and recorded digits.

    python -m benchmarks.foundation --root path/to/fsdd

Trains wav2vec2_small_full on the default corpus and exports it: one foundation model, as a published one would be. From
that export it fine-tunes, for each seed and on both corpora, all 6 layers (full), 4 of them (compact) and 4 unfolded to
6 (fold), each for the same updates; the first seed also with other choices of the layers that stay, three times as
long, and without any fine-tuning. Every finished run leaves its records in benchmarks/results/foundation/; the study
goes on where it was interrupted, and fills its part of RESULTS.md.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from benchmarks.results_page import comparison, figure, update_page
from benchmarks.runs import Run, fold, train_all

STUDY = "foundation"
PAGE = Path("RESULTS.md")
SOURCE = Path("runs") / "studies" / STUDY / "pretrained" / "huggingface"
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
# Of the first seed and the default corpus alone:
LONGER = {
    "fold_longer": (FOLD, "--trainer.max_steps=3600"),
    "full_longer": (COMPACT, ALL_LAYERS, "--trainer.max_steps=3600"),
}
OTHER_LAYERS = {
    "fold_first": (FOLD, "--model.network.keep=first"),
    "fold_mean": (FOLD, "--model.network.keep=mean"),
}
UNTRAINED = {
    "untrained_full": (COMPACT, ALL_LAYERS, "--trainer.max_steps=0"),
    "untrained_even": (FOLD, "--trainer.max_steps=0"),
    "untrained_first": (FOLD, "--model.network.keep=first", "--trainer.max_steps=0"),
    "untrained_mean": (FOLD, "--model.network.keep=mean", "--trainer.max_steps=0"),
}
CHOICES = {  # a table each: the systems in it
    "longer": tuple(LONGER),
    "other layers": ("fold", *OTHER_LAYERS),
    "untrained": tuple(UNTRAINED),
}
MARGIN = 1.0  # of WER: what folding may cost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", help="where the Free Spoken Digit Dataset lies (default: downloaded)")
    parser.add_argument("--shards", default="shards", help="folder of prepared corpora")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="trainings at a time")
    parser.add_argument("--page-only", action="store_true", help="make the tables of what is finished, train nothing")
    arguments = parser.parse_args()
    shards = f"--data.shards={arguments.shards}"
    root = [f"--data.root={arguments.root}"] if arguments.root else []
    if not arguments.page_only:
        pretrain(shards)
        train_all(dict.fromkeys(runs()), {"commands": [shards], "fsdd": [shards, *root]}, arguments.jobs)
    update_page(PAGE, parts())


def pretrain(shards: str) -> None:
    """Leaves the foundation model as a Hugging Face directory. An interrupted training goes on."""
    if SOURCE.exists():
        return
    run_dir = SOURCE.parent
    configs = ["--config=experiments/wav2vec2_small_full.yaml", "--config=data/commands.yaml"]
    fold("fit", *configs, shards, "--ckpt_path=last", f"--run_dir={run_dir}")
    fold("export", f"--ckpt_path={run_dir}/checkpoints/last.ckpt")


def runs() -> Iterator[Run]:
    """All runs; what the tables need most first."""
    for corpus in CORPORA:
        yield from systems(corpus)
    for names in CHOICES.values():
        yield from (run(name, "commands", SEEDS[0]) for name in names)


def systems(corpus: str) -> Iterator[Run]:
    return (run(system, corpus, seed) for seed in SEEDS for system in SYSTEMS)


def run(system: str, corpus: str, seed: int) -> Run:
    experiment, *changes = {**SYSTEMS, **LONGER, **OTHER_LAYERS, **UNTRAINED}[system]
    fixed = [f"--model.network.source={SOURCE}", "--data.batch_seconds=50", f"--trainer.max_steps={UPDATES[corpus]}"]
    return Run(STUDY, system, experiment, corpus, (*fixed, *CORPORA[corpus], *changes), seed)


def parts() -> dict[str, str]:
    """Of the page, made of what is finished."""
    made = {}
    for corpus in CORPORA:
        finished = [run for run in systems(corpus) if run.finished]
        made[f"foundation {corpus}"] = comparison(finished, "full", MARGIN)
        made[f"figure foundation {corpus}"] = figure(
            finished, f"Folded foundation model, {corpus}: WER on the test split"
        )
    for name, against in (("longer", "full_longer"), ("other layers", "fold"), ("untrained", "untrained_full")):
        chosen = [run(system, "commands", SEEDS[0]) for system in CHOICES[name]]
        made[f"foundation {name}"] = comparison([run for run in chosen if run.finished], against, MARGIN)
    return made


if __name__ == "__main__":
    main()

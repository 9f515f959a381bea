"""Folds a foundation model of our own and compares full, compact and folded on unheard voices and recorded digits.

    python -m studies.foundation --root path/to/fsdd

Trains wav2vec2_small_full on the default corpus and exports it: one foundation model, as a published one would be. From
that export it fine-tunes, for each seed and on both corpora, all 6 layers (full), 4 of them (compact) and 4 unfolded to
6 (fold), each for the same updates, on the default corpus also for three times as many; the first seed also with other
choices of the layers that stay, and without any fine-tuning. Every finished run leaves its records in
studies/results/; the study goes on where it was interrupted, and fills docs/results/foundation.md. `--page-only` makes
the tables again, `--commands` prints how each run is trained.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fold.report.compare.systems import System, mean_and_deviation
from studies.results_page import PAGE, TABLES, comparison, figure, markdown, systems_of, update_pages
from studies.runs import Run, options_of, pretrain, train_all

STUDY = "foundation"
SOURCE = Path("runs") / "studies" / STUDY / "pretrained" / "huggingface"
ADAMW = (  # of the small foundation models until Muon took its place
    "--model.optimizer={class_path: torch.optim.AdamW, "
    "init_args: {lr: %s, betas: [%s, 0.98], weight_decay: 0.01, fused: true}}"
)
PRETRAINING = (
    "--config=experiments/wav2vec2_small_full.yaml",
    "--config=data/commands.yaml",
    ADAMW % ("2.0e-3", "0.95"),
)
SEEDS = (1, 2, 3)
MARGIN = 1.0  # of WER: what folding may cost
UPDATES = {"commands": 1200, "fsdd": 400}
CORPORA = {"commands": (), "fsdd": ("--data.sample_rate=16000",)}
FULL, COMPACT = ("wav2vec2_small_compact", "--model.network.num_layers=6"), ("wav2vec2_small_compact",)
FOLD = ("wav2vec2_small_fold", "--model.max_repeats=2", "--model.objective.distillation.weight=1.0")
FIRST, MEAN = "--model.network.keep=first", "--model.network.keep=mean"
LONGER, UNTRAINED = "--trainer.max_steps=3600", "--trainer.max_steps=0"
SYSTEMS: dict[str, tuple[str, ...]] = {  # experiment, then its changes
    "full": FULL,
    "compact": COMPACT,
    "fold": FOLD,
    "full_longer": (*FULL, LONGER),
    "compact_longer": (*COMPACT, LONGER),
    "fold_longer": (*FOLD, LONGER),
    "fold_first": (*FOLD, FIRST),
    "fold_mean": (*FOLD, MEAN),
    "untrained_full": (*FULL, UNTRAINED),
    "untrained_even": (*FOLD, UNTRAINED),
    "untrained_first": (*FOLD, FIRST, UNTRAINED),
    "untrained_mean": (*FOLD, MEAN, UNTRAINED),
}


@dataclass(frozen=True)
class Table:
    """A part of the page. against: the system that the others are tested against."""

    corpus: str
    systems: tuple[str, ...]
    seeds: tuple[int, ...]
    against: str

    def runs(self) -> list[Run]:
        return [run(system, self.corpus, seed) for seed in self.seeds for system in self.systems]


COMPARED = {
    "foundation commands": Table("commands", ("full", "compact", "fold"), SEEDS, "full"),
    "foundation fsdd": Table("fsdd", ("full", "compact", "fold"), SEEDS, "full"),
    "foundation untrained": Table(
        "commands",
        ("untrained_full", "untrained_even", "untrained_first", "untrained_mean"),
        SEEDS[:1],
        "untrained_full",
    ),
    "foundation other layers": Table("commands", ("fold", "fold_first", "fold_mean"), SEEDS[:1], "fold"),
    "foundation longer": Table("commands", ("full_longer", "compact_longer", "fold_longer"), SEEDS, "full_longer"),
}
IN_SHORT = {"commands, 1,200 updates": "commands", "commands, 3,600 updates": "longer", "fsdd, 400 updates": "fsdd"}


def main() -> None:
    options = options_of(__doc__, runs)
    if not options.page_only:
        pretrain(SOURCE, PRETRAINING, options.places["commands"])
        train_all(dict.fromkeys(runs()), options.places, options.jobs)
    update_pages({TABLES / "foundation.md": parts(), PAGE: {"D": in_short()}})


def runs() -> Iterator[Run]:
    return (run for table in COMPARED.values() for run in table.runs())


def run(system: str, corpus: str, seed: int) -> Run:
    experiment, *changes = SYSTEMS[system]
    from_source = (f"--model.network.source={SOURCE}", ADAMW % ("1.0e-3", "0.9"))
    fixed = (*from_source, "--data.batch_seconds=50", f"--trainer.max_steps={UPDATES[corpus]}")
    return Run(STUDY, system, experiment, corpus, (*fixed, *CORPORA[corpus], *changes), seed, SOURCE)


def parts() -> dict[str, str]:
    """Of the page, made of what is finished."""
    made = {}
    for name, table in COMPARED.items():
        finished = [run for run in table.runs() if run.finished]
        made[name] = comparison(finished, table.against, MARGIN)
        if table.seeds == SEEDS:
            made[f"figure {name}"] = figure(
                finished, name, f"Folded foundation model, {table.corpus}: WER on the test split"
            )
    return made


def in_short() -> str:
    """WER on test of full, compact and folded, one column per length of fine-tuning; empty until all are finished."""
    tables = [COMPARED[f"foundation {name}"] for name in IN_SHORT.values()]
    if not all(run.finished for table in tables for run in table.runs()):
        return ""
    names = [f"{system.label}, depth {depth}" for system, depth in rows(tables[0])]
    columns = [[mean_and_deviation(system.wers(depth)) for system, depth in rows(table)] for table in tables]
    return markdown(["system", *IN_SHORT], list(zip(names, *columns, strict=True)))


def rows(table: Table) -> list[tuple[System, int]]:
    return [(system, depth) for system in systems_of(table.runs()) for depth in system.depths]


if __name__ == "__main__":
    main()

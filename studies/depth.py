"""Does depth pay, and does one model serve every depth? On `commands` with the present recipe, and on `sentences`.

    python -m studies.depth

Trains a foldable model and its rivals with equal data and updates: one model for each depth, layers that leave early,
layers that are shared but trained for one depth, and a wider model of the seed's depth that computes as much as the
deepest path. Learning rates are chosen first, on dev. Every finished run leaves its records in studies/results/; the
study goes on where it was interrupted, and fills docs/results/depth.md. `--page-only` makes the tables again,
`--commands` prints how each run is trained.
"""

from __future__ import annotations

from studies.results_page import (
    TABLES,
    comparison,
    figure,
    mean_wer,
    rates_table,
    update_pages,
)
from studies.runs import GROWTH, LONG_TEST, UPDATES_1800, Run, options_of, train_all

STUDY = "depth"
SEEDS = (1, 2, 3)
RATES = {"commands": (8e-3,), "sentences": (2e-3, 4e-3, 8e-3)}  # of `commands`: for 1,800 updates, chosen on dev
RECIPES: dict[str, tuple[str, ...]] = {
    "commands": (*UPDATES_1800, LONG_TEST),
    # As much speech in smaller updates: after 750 of the default's, 8 layers had not left the plateau where CTC begins.
    "sentences": ("--data.update_seconds=25", "--trainer.max_steps=3600", "--trainer.val_check_interval=600"),
}
DEPTHS = (4, 5, 6, 7, 8, 12)
FOLD, PHYSICAL = "conformer_fold", "conformer_physical"
RIVALS = "studies.rivals"
WIDE = ("--model.network.num_layers=4", "--model.network.dim=136", "--model.network.ffn_dim=544")
SYSTEMS: dict[str, tuple[str, ...]] = {  # experiment, then its changes
    "foldable": (FOLD, GROWTH),
    **{f"physical {depth}": (PHYSICAL, f"--model.network.num_layers={depth}") for depth in DEPTHS},
    "early exit": (
        FOLD,
        f"--model.network.class_path={RIVALS}.EarlyExit",
        f"--model.sampler={RIVALS}.EveryDepth",
    ),
    "shared, one depth": (FOLD, f"--model.sampler={RIVALS}.OneDepth"),
    "wide": (PHYSICAL, *WIDE),
}


def main() -> None:
    options = options_of(__doc__, lambda: [*searches(), *everything()])
    if not options.page_only:
        for stage in (searches, everything):
            train_all(dict.fromkeys(stage()), options.places, options.jobs)
    update_pages({TABLES / "depth.md": parts()})


def parts() -> dict[str, str]:
    """Of the page, made of what is finished."""
    found = {"learning rates": rates_table([run for run in searches() if run.finished])}
    for corpus in RECIPES:
        finished = [run for run in everything() if run.finished and run.corpus == corpus]
        found[f"comparison {corpus}"] = comparison(finished)
        found[f"figure {corpus}"] = figure(finished, f"depth {corpus}", f"{corpus}: WER on the test split")
    return found


def run(system: str, corpus: str, seed: int, rate: float) -> Run:
    experiment, *changes = SYSTEMS[system]
    options = (*changes, *RECIPES[corpus], f"--model.optimizer.init_args.lr={rate:g}")
    return Run(STUDY, system if len(RATES[corpus]) == 1 else f"{system} lr {rate:g}", experiment, corpus, options, seed)


def searches() -> list[Run]:
    """Every system with each learning rate, once."""
    return [run(system, corpus, SEEDS[0], rate) for corpus in RECIPES for system in SYSTEMS for rate in RATES[corpus]]


def everything() -> list[Run]:
    """Every system with its best learning rate, as far as that is known."""
    return [
        run(system, corpus, seed, rate)
        for corpus in RECIPES
        for seed in SEEDS
        for system in SYSTEMS
        if (rate := best_rate(system, corpus))
    ]


def best_rate(system: str, corpus: str) -> float | None:
    """The learning rate with the lowest dev WER of those that were tried, None before any was."""
    if len(RATES[corpus]) == 1:
        return RATES[corpus][0]
    tried = {rate: run(system, corpus, SEEDS[0], rate) for rate in RATES[corpus]}
    finished = [rate for rate in tried if tried[rate].finished]
    return min(finished, key=lambda rate: mean_wer(tried[rate], "dev"), default=None)


if __name__ == "__main__":
    main()

"""Does depth pay, and does one model serve every depth? On `sentences`, a corpus on which deeper models are better.

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
    by_name,
    comparison,
    figure,
    mean_wer,
    rates_table,
    update_pages,
    variants_table,
)
from studies.runs import Run, commands, options_of, train_all

STUDY, CORPUS = "depth", "sentences"
SEEDS = (1, 2, 3)
RATES = (7.5e-4, 1.5e-3, 3e-3)
RECIPE = ("--data.update_seconds=25", "--trainer.max_steps=3600", "--trainer.val_check_interval=600")
DEPTHS = (4, 5, 6, 7, 8, 12)
FOLD, PHYSICAL = "conformer_fold", "conformer_physical"
RIVALS = "studies.rivals"
WIDE = ("--model.network.num_layers=4", "--model.network.dim=136", "--model.network.ffn_dim=544")
SYSTEMS: dict[str, tuple[str, ...]] = {  # experiment, then its changes
    "foldable": (FOLD,),
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
    options = options_of(__doc__)
    if options.commands:
        print(commands([*searches(), *everything()], options.commands))
        return
    if not options.page_only:
        for stage in (searches, everything):
            train_all(dict.fromkeys(stage()), options.places, options.jobs)
    finished = [run for run in everything() if run.finished]
    update_pages(
        {
            TABLES / "depth.md": {
                "learning rates": rates_table([run for run in searches() if run.finished]),
                "comparison": comparison(finished),
                "figure": figure(finished, "depth", "sentences: WER on the test split"),
                "dev": variants_table(by_name(finished)),
            }
        }
    )


def run(system: str, seed: int, rate: float) -> Run:
    experiment, *changes = SYSTEMS[system]
    options = (*changes, *RECIPE, f"--model.optimizer.init_args.lr={rate:g}")
    return Run(STUDY, f"{system} lr {rate:g}", experiment, CORPUS, options, seed)


def searches() -> list[Run]:
    """Every system with each learning rate, once."""
    return [run(system, SEEDS[0], rate) for system in SYSTEMS for rate in RATES]


def everything() -> list[Run]:
    """Every system with its best learning rate, as far as that is known."""
    return [run(system, seed, rate) for seed in SEEDS for system in SYSTEMS if (rate := best_rate(system))]


def best_rate(system: str) -> float | None:
    """The learning rate with the lowest dev WER, None before all were tried."""
    tried = {rate: run(system, SEEDS[0], rate) for rate in RATES}
    if not all(run.finished for run in tried.values()):
        return None
    return min(tried, key=lambda rate: mean_wer(tried[rate], "dev"))


if __name__ == "__main__":
    main()

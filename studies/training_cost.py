"""What training one foldable model costs against individually trained ones: short trainings of part A of the study,
one after the other on one machine, so that their times compare.

    python -m studies.training_cost --root path/to/fsdd        (docs/results/one-model-or-many.md gets the table)
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from fold.report.record import read_record
from studies.results import (
    CHOSEN,
    DEPTHS,
    FULL_KL,
    TENTH,
    UPDATES,
    fold_rate,
    foldable,
    physical,
    physical_rate,
)
from studies.results_page import TABLES, markdown, update_pages
from studies.runs import Run, fold, parser_of, places_of

SHORT = 240  # updates; growth takes its shares of these
ROUNDS = 2


def main() -> None:
    places = places_of(parser_of(__doc__).parse_args())
    rows = [row for corpus in UPDATES for row in costs(corpus, places[corpus])]
    headings = ["system", "corpus", "updates", "processor seconds", "against the five"]
    update_pages({TABLES / "one-model-or-many.md": {"training cost": markdown(headings, rows)}})


def costs(corpus: str, places: Sequence[str]) -> list[list[str]]:
    """Rows of the table: mean over rounds, and its share of what the individually trained systems take together."""
    growing = foldable(fold_rate(), corpus, 1, "fold", CHOSEN)
    all_paths = foldable(fold_rate(), corpus, 1, "fold, all paths from the first step", (*FULL_KL, *TENTH))
    individual = [physical(physical_rate(corpus, depth), corpus, 1, depth) for depth in DEPTHS]
    runs = [growing, all_paths, *individual]
    rounds = [{run: seconds(run, places) for run in runs} for _ in range(ROUNDS)]
    spent = {run: fmean(of_round[run] for of_round in rounds) for run in runs}
    together = sum(spent[run] for run in individual)
    return [[run.name, corpus, str(SHORT), f"{spent[run]:.1f}", f"{spent[run] / together:.2f}"] for run in runs]


def seconds(run: Run, places: Sequence[str]) -> float:
    """Trains `run` for SHORT updates; its processor time in training steps."""
    steps = (f"--trainer.max_steps={SHORT}", f"--trainer.val_check_interval={SHORT}")
    with tempfile.TemporaryDirectory() as folder:
        fold("fit", *replace(run, options=(*run.options, *steps)).arguments(), *places, f"--run_dir={folder}")
        spent = 3600 * read_record(Path(folder) / "depth_sweep.json").training.cpu_hours
    print(f"{run.label}: {spent:.1f} s for {SHORT} updates", flush=True)
    return spent


if __name__ == "__main__":
    main()

"""What training one foldable model costs against individually trained ones: short trainings of part A of the study,
one after the other on one machine, so that their times compare.

    python -m benchmarks.training_cost --root path/to/fsdd        (RESULTS.md gets the table)
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from benchmarks.results import (
    CHOSEN,
    DEPTHS,
    FULL_KL,
    PAGE,
    TENTH,
    UPDATES,
    fold_rate,
    foldable,
    physical,
    physical_rate,
)
from benchmarks.results_page import markdown, update_page
from benchmarks.runs import Run, fold, options_of
from fold.report.record import read_record

SHORT = 240  # updates; growth takes its shares of these
ROUNDS = 2


def main() -> None:
    places = options_of(__doc__).places
    rows = [row for corpus in UPDATES for row in ratios(corpus, measured(corpus, places[corpus]))]
    headings = ["system", "corpus", "updates", "processor seconds", "against the five"]
    update_page(PAGE, {"training cost": markdown(headings, rows)})


def measured(corpus: str, places: Sequence[str]) -> dict[str, float]:
    """Processor seconds of training steps by system, mean over rounds."""
    all_paths = foldable(fold_rate(), corpus, 1, "fold, all paths from the first step", (*FULL_KL, *TENTH))
    growing = foldable(fold_rate(), corpus, 1, "fold", CHOSEN)
    alone = [physical(physical_rate(corpus, depth), corpus, 1, depth) for depth in DEPTHS]
    rounds = [{run.name: seconds(run, places) for run in (growing, all_paths, *alone)} for _ in range(ROUNDS)]
    return {name: fmean(spent[name] for spent in rounds) for name in rounds[0]}


def seconds(run: Run, places: Sequence[str]) -> float:
    """Trains `run` for SHORT updates; its processor time in training steps."""
    steps = (f"--trainer.max_steps={SHORT}", f"--trainer.val_check_interval={SHORT}")
    with tempfile.TemporaryDirectory() as folder:
        fold("fit", *replace(run, options=(*run.options, *steps)).arguments(), *places, f"--run_dir={folder}")
        spent = 3600 * read_record(Path(folder) / "depth_sweep.json").training.cpu_hours
    print(f"{run.label}: {spent:.1f} s for {SHORT} updates", flush=True)
    return spent


def ratios(corpus: str, spent: dict[str, float]) -> list[list[str]]:
    """Rows of the table."""
    five = sum(time for name, time in spent.items() if name.startswith("physical"))
    return [[name, corpus, str(SHORT), f"{time:.1f}", f"{time / five:.2f}"] for name, time in spent.items()]


if __name__ == "__main__":
    main()

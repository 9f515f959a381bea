"""The default model, three times: by how much does chance move what `make train EXP=conformer_fold` gives?

    python -m studies.default

Each is trained by one process with one thread, which accumulates what the two of the command share. Goes on where it
was interrupted, and fills the README and docs/results/default-model.md; `--page-only` and `--commands` as in the other
studies.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fold.report.compare.systems import mean_and_deviation
from studies.results_page import FACTS, TABLES, facts, markdown, seeds, update_pages
from studies.runs import Run, options_of, train_all

STUDY, EXPERIMENT, CORPUS = "default", "conformer_fold", "commands"
SEEDS = (1, 2, 3)
AS_SHIPPED = ("--model.canonical_order=last",)


def main() -> None:
    options = options_of(__doc__, runs)
    if not options.page_only:
        train_all(runs(), options.places, options.jobs)
    finished = [run for run in runs() if run.finished]
    update_pages(
        {
            Path("README.md"): {"default": by_depth(finished)},
            TABLES / "default-model.md": {"trainings": each(finished)},
        }
    )


def runs() -> list[Run]:
    return [Run(STUDY, EXPERIMENT, EXPERIMENT, CORPUS, AS_SHIPPED, seed) for seed in SEEDS]


def wers(run: Run) -> dict[int, float]:
    """On test, by depth, of canonical paths."""
    return {depth: row.wer for depth, row in run.record("test").canonical.items()}


def by_depth(runs: Sequence[Run]) -> str:
    """A row for each depth."""
    if not runs:
        return ""
    found = [wers(run) for run in runs]
    depths = list(found[0])
    names = {depths[0]: f"{depths[0]} (the seed)", depths[-1]: f"{depths[-1]} (the deepest)"}
    rows = [[names.get(depth, str(depth)), mean_and_deviation([of[depth] for of in found])] for depth in depths]
    return markdown(["depth", f"WER %, mean ± deviation of {len(runs)} trainings"], rows)


def each(runs: Sequence[Run]) -> str:
    """A row for each training, a column for each depth; then what the trainings took."""
    if not runs:
        return ""
    found = [wers(run) for run in runs]
    depths = list(found[0])
    rows = [[str(run.seed), *(f"{of[depth]:.2f}" for depth in depths)] for run, of in zip(runs, found, strict=True)]
    rows.append(["mean ± deviation", *(mean_and_deviation([of[depth] for of in found]) for depth in depths)])
    table = markdown(["random seed", *(f"depth {depth}" for depth in depths)], rows)
    return f"{table}\n\n{markdown(['random seeds', *FACTS], [[seeds(runs), *facts(runs)]])}"


if __name__ == "__main__":
    main()

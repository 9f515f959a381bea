"""Prior compression beside folding, without any download: rivals of equal size, all from one foundation model.

    python -m studies.compression

Takes the foundation model of `studies.foundation`, its runs of all layers (full), of 4 of them (compact) and of these
unfolded (fold), and trains for the same updates two more of the size of compact: a thin student of all layers that
learns the hidden states of the full model besides the task (`studies.students`), and the full model with its least
heads and inner features pruned (`studies.pruning`). Goes on where it was interrupted, prints the comparison of what is
finished; `--page-only` and `--commands` as in the other studies.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from fold import shipped
from studies import foundation
from studies.foundation import MARGIN, PRETRAINING, SEEDS, SOURCE
from studies.pruning import prune
from studies.results_page import comparison
from studies.runs import Run, commands, options_of, pretrain, train_all

STUDY = "compression"
CORPUS = "commands"
PARAMETERS = 1_217_693  # of compact
PRUNED = SOURCE.parent / "pruned.pth"
WIDTH = {"dim": 120, "ffn_dim": 464}  # of a thin student of that size
EXPERIMENT = "wav2vec2_small_compact"
ALL_LAYERS = "--model.network.num_layers=null"
FIXED = ("--data.batch_seconds=50", foundation.LONGER, ALL_LAYERS)


def main() -> None:
    options = options_of(__doc__)
    if options.commands:
        print(commands(runs(), options.commands))
        return
    if not options.page_only:
        pretrain(SOURCE, PRETRAINING, options.places[CORPUS])
        if not PRUNED.exists():
            torch.save(prune(str(SOURCE.parent / "checkpoints" / "last.ckpt"), PARAMETERS), PRUNED)
        train_all(runs(), options.places, options.jobs)
    finished = [run for run in runs() if run.finished]
    print(comparison(finished, "full_longer", MARGIN))


def runs() -> list[Run]:
    known = [foundation.run(f"{name}_longer", CORPUS, seed) for name in ("full", "compact", "fold") for seed in SEEDS]
    return [*known, *(rival(seed) for rival in (thin, pruned) for seed in SEEDS)]


def thin(seed: int) -> Run:
    options = (*FIXED, *student(SOURCE, "wav2vec2_small_full", WIDTH))
    return Run(STUDY, "thin", EXPERIMENT, CORPUS, options, seed)


def student(teacher: Path, experiment: str, width: Mapping[str, int]) -> tuple[str, ...]:
    """Options of a thin student of six layers. teacher: the foundation model; experiment: that made it; width: where
    the student's shape differs from the teacher's."""
    settings = shipped.read(Path(__file__).parent.parent / "experiments" / f"{experiment}.yaml")
    shape = {**settings["model"]["network"]["init_args"]["shape"], **width}
    told = ", ".join(f"{name}: {str(value).lower()}" for name, value in shape.items())
    term = f"class_path: studies.students.LikeTeacher, init_args: {{source: {teacher}, layers: [2, 4, 6]}}"
    return (
        "--model.network.class_path=studies.students.Thin",
        "--model.network.source=null",
        f"--model.network.teacher={teacher}",
        f"--model.network.shape={{{told}}}",
        f"--model.objective.further={{teacher: {{{term}}}}}",
    )


def pruned(seed: int) -> Run:
    return Run(STUDY, "pruned", EXPERIMENT, CORPUS, (*FIXED, f"--model.network.source={PRUNED}"), seed)


if __name__ == "__main__":
    main()

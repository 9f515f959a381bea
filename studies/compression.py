"""Prior compression beside folding, without any download: rivals of equal size, all from one foundation model.

    python -m studies.compression --jobs 2

The foundation model is a small wav2vec 2.0 of our own, wav2vec2_small_full. From its export all systems are fine-tuned
for the same updates: all 6 layers (full); 4 of them (compact); these unfolded to 6 by the recipe of
wav2vec2_small_fold (fold), and likewise while the deepest path learns the hidden states of the foundation model
besides the task (fold with teacher, `studies.students`), while no other path is trained (one depth), or at a rate of
0.012 (fold lr 0.012), or with something of the removed layers in each repeat (relaxed, `studies.relaxed`); a thin
student of all layers that learns the hidden states, too; and the foundation model with its least heads and inner
features pruned (`studies.pruning`). All but full and relaxed have as many parameters as compact, or a few less. Full
and fold are trained for twice the updates, too.
Goes on where it was interrupted, and fills docs/results/compression.md with the comparison of what is finished;
`--page-only` and `--commands` as in the other studies.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from fold import shipped
from fold.files import replacing
from fold.report.compare import figures
from studies.pruning import prune
from studies.results_page import TABLES, comparison, drawn, update_pages
from studies.runs import Run, options_of, pretrain, train_all

STUDY, CORPUS = "compression", "commands"
SOURCE = Path("runs") / "studies" / STUDY / "pretrained" / "huggingface"
PRUNED = SOURCE / "pruned.pth"  # beside the weights that it was made from: those of another source have their own
FOUNDATION = "wav2vec2_small_full"
PRETRAINING = (f"--config=experiments/{FOUNDATION}.yaml", f"--config=data/{CORPUS}.yaml")  # by two processes
PARAMETERS = 1_217_693  # of compact
WIDTH = {"dim": 120, "ffn_dim": 464}  # of a thin student of that size
SEEDS = (1, 2, 3)
ONCE = ("one depth", "fold lr 0.012")  # systems of the first seed alone
MARGIN = 0.5  # of WER: what folding may cost
TITLE = "Six layers made smaller: WER on the test split"
COMPACT, FOLD = "wav2vec2_small_compact", "wav2vec2_small_fold"
FIXED = ("--data.batch_seconds=50",)
ALL_LAYERS = "--model.network.num_layers=null"
FROM_SOURCE = f"--model.network.source={SOURCE}"
LONGER = "--trainer.max_steps=3600"
RELAXED = (
    "--model.network.class_path=studies.relaxed.Relaxed",
    "--model.network.keep=[1,2,4,6]",  # the removed layers, 3 and 5, follow what stands for them
    "--model.network.rank=8",
)


def systems() -> dict[str, tuple[str, ...]]:
    """Of each its experiment, then its changes."""
    return {
        "full": (COMPACT, FROM_SOURCE, "--model.network.num_layers=6"),
        "compact": (COMPACT, FROM_SOURCE),
        "fold": (FOLD, FROM_SOURCE),
        "fold with teacher": (FOLD, FROM_SOURCE, like(SOURCE)),
        "one depth": (FOLD, FROM_SOURCE, "--model.sampler=studies.rivals.OneDepth"),
        "fold lr 0.012": (FOLD, FROM_SOURCE, "--model.optimizer.init_args.lr=1.2e-2"),
        "relaxed": (FOLD, FROM_SOURCE, *RELAXED),
        "thin": (COMPACT, ALL_LAYERS, *student(SOURCE, FOUNDATION, WIDTH)),
        "pruned": (COMPACT, ALL_LAYERS, f"--model.network.source={PRUNED}"),
        "full longer": (COMPACT, FROM_SOURCE, "--model.network.num_layers=6", LONGER),
        "fold longer": (FOLD, FROM_SOURCE, LONGER),
    }


def main() -> None:
    options = options_of(__doc__, runs)
    if not options.page_only:
        pretrain(SOURCE, PRETRAINING, options.places[CORPUS])
        if not PRUNED.exists():
            with replacing(PRUNED) as stream:
                torch.save(prune(str(SOURCE.parent / "checkpoints" / "last.ckpt"), PARAMETERS), stream)
        train_all(runs(), options.places, options.jobs)
    finished = [run for run in runs() if run.finished]
    longer = [run for run in finished if LONGER in run.options]
    alike = [run for run in finished if run not in longer]
    shown = drawn(figures.wer_by_macs, "WER against computation", alike, STUDY, TITLE)
    parts = {
        STUDY: comparison(alike, "full", MARGIN),
        f"figure {STUDY}": shown,
        f"{STUDY} longer": comparison(longer, "full longer", MARGIN),
    }
    update_pages({TABLES / "compression.md": parts})


def runs() -> list[Run]:
    """The first seed of all systems, then the next."""
    known = systems().items()
    return [
        Run(STUDY, name, experiment, CORPUS, (*FIXED, *changes), seed, SOURCE)
        for seed in SEEDS
        for name, (experiment, *changes) in known
        if seed == SEEDS[0] or name not in ONCE
    ]


def student(teacher: Path, experiment: str, width: Mapping[str, int]) -> tuple[str, ...]:
    """Options of a thin student of six layers. teacher: the foundation model; experiment: that made it; width: where
    the student's shape differs from the teacher's."""
    settings = shipped.read(Path(__file__).parent.parent / "experiments" / f"{experiment}.yaml")
    shape = {**settings["model"]["network"]["init_args"]["shape"], **width}
    told = ", ".join(f"{name}: {str(value).lower()}" for name, value in shape.items())
    return (
        "--model.network.class_path=studies.students.Thin",
        "--model.network.source=null",
        f"--model.network.teacher={teacher}",
        f"--model.network.shape={{{told}}}",
        like(teacher),
    )


def like(teacher: Path) -> str:
    """The option that makes hidden states, of the deepest path if there are several, those of a teacher."""
    term = f"class_path: studies.students.LikeTeacher, init_args: {{source: {teacher}, layers: [2, 4, 6]}}"
    return f"--model.objective.further={{teacher: {{{term}}}}}"


if __name__ == "__main__":
    main()

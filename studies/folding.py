"""How a foundation model is best folded: recipes side by side, and rivals that are as small.

    python -m studies.folding

The foundation model is a small w2v-BERT of our own, w2v_bert_small_full after 2,000 updates of 25 s by one process.
From its export all systems are fine-tuned for the same updates: all 6 layers (full), 4 of them (compact), these
unfolded to 6 as in part D before (fold_before) and by the recipe of w2v_bert_small_fold (fold), and a thin student of
all layers of the size of compact (`studies.students`). Goes on where it was interrupted, prints the comparison of
what is finished; `--page-only` and `--commands` as in the other studies.
"""

from __future__ import annotations

from pathlib import Path

from studies.compression import ALL_LAYERS, student
from studies.results_page import comparison
from studies.runs import Run, options_of, pretrain, train_all

STUDY, CORPUS = "folding", "commands"
SOURCE = Path("runs") / "studies" / STUDY / "pretrained" / "huggingface"
PRETRAINED = Run(STUDY, "pretrained", "w2v_bert_small_full", CORPUS, ("--data.batch_seconds=25",))
SEEDS = (1,)
MARGIN = 0.5  # of WER: what folding may cost
FIXED = (f"--model.network.source={SOURCE}", "--data.batch_seconds=25")
COMPACT, FOLD = "w2v_bert_small_compact", "w2v_bert_small_fold"
BOTH_ENDS_TOO = "--model.max_repeats=2"
BEFORE = (BOTH_ENDS_TOO, "--model.objective.distillation.weight=1.0")
SYSTEMS: dict[str, tuple[str, ...]] = {  # experiment, then its changes
    "full": (COMPACT, "--model.network.num_layers=6"),
    "compact": (COMPACT,),
    "fold_before": (FOLD, *BEFORE),
    "fold": (FOLD,),
    "thin": (COMPACT, ALL_LAYERS, *student(SOURCE, PRETRAINED.experiment, {"dim": 76, "ffn_dim": 328})),
    "untrained": (FOLD, BOTH_ENDS_TOO, "--trainer.max_steps=0"),
}


def main() -> None:
    options = options_of(__doc__, runs)
    if not options.page_only:
        pretrain(SOURCE, PRETRAINED.arguments(), options.places[CORPUS])
        train_all(runs(), options.places, options.jobs)
    print(comparison([run for run in runs() if run.finished], "full", MARGIN))


def runs() -> list[Run]:
    return [run(name, seed) for seed in SEEDS for name in SYSTEMS]


def run(name: str, seed: int) -> Run:
    experiment, *changes = SYSTEMS[name]
    return Run(STUDY, name, experiment, CORPUS, (*FIXED, *changes), seed, SOURCE)


if __name__ == "__main__":
    main()

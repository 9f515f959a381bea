"""What makes repeats worth their time: the default experiment, and changes of what a repeat is told or has learnt.

    python -m studies.repeats

Each is trained as `make train EXP=conformer_fold` trained the default model before it had Muon, once for each random
seed. Every finished run leaves its records in studies/results/; the study goes on where it was interrupted, and fills
docs/results/repeats.md. `--page-only` makes the table again, `--commands` prints how each run is trained.
"""

from __future__ import annotations

from studies.results_page import TABLES, update_pages, variants_table
from studies.runs import ADAMW, GROWTH, UPDATES_1800, Run, options_of, train_methods

STUDY = "repeats"
SEEDS = (1, 2, 3)
VARIANTS = "studies.variants"
NETWORK = f"--model.network.class_path={VARIANTS}"
BETWEEN = (
    f"--model.objective.further={{between: {{class_path: {VARIANTS}.BetweenRepeats, init_args: {{weight: 0.3}}}}}}"
)
METHODS: dict[str, tuple[str, ...]] = {  # what is changed
    "default": (),
    "CTC between repeats": (BETWEEN,),
    "self-conditioned": (f"{NETWORK}.SelfConditioned", BETWEEN),
    "cyclic": (f"{NETWORK}.CyclicOrder",),
    "cyclic, told": (f"{NETWORK}.CyclicFeedback",),
    "cyclic, told, 40 mel bins": (f"{NETWORK}.CyclicFeedback", "--model.network.init_args.num_mels=40"),
}


def main() -> None:
    options = options_of(__doc__, lambda: [run for runs in methods().values() for run in runs])
    train_methods(methods(), options)
    update_pages({TABLES / "repeats.md": {"repeats": variants_table(methods())}})


def methods() -> dict[str, list[Run]]:
    """Runs by name, what they are compared with first."""
    return {
        name: [
            Run(STUDY, name, "conformer_fold", "commands", (GROWTH, *UPDATES_1800, ADAMW, *changes), seed)
            for seed in SEEDS
        ]
        for name, changes in METHODS.items()
    }


if __name__ == "__main__":
    main()

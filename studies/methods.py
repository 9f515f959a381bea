"""What makes depth pay more: changes of the foldable model's method, on `sentences`.

    python -m studies.methods

Each method is trained as the foldable model of `studies.depth`, which it is compared with on dev. Every finished run
leaves its records in studies/results/; the study goes on where it was interrupted, and fills docs/results/methods.md.
`--page-only` makes the table again, `--commands` prints how each run is trained.
"""

from __future__ import annotations

import sys

from studies import depth
from studies.results_page import TABLES, update_pages, variants_table
from studies.runs import GROWN, GROWTH, Run, options_of, train_methods

STUDY, CORPUS = "methods", "sentences"
VARIANTS, TEACHERS = "studies.variants", "studies.teachers"
NETWORK, SAMPLER = "--model.network.class_path", "--model.sampler"
NO_KL = "--model.objective.distillation.weight=0"
BETWEEN = f"between: {{class_path: {VARIANTS}.BetweenRepeats, init_args: {{weight: 0.3}}}}"


def further(*terms: str) -> str:
    return f"--model.objective.further={{{', '.join(terms)}}}"


def teacher(kind: str, **settings: float) -> str:
    given = ", ".join(f"{name}: {value:g}" for name, value in settings.items())
    return f"teacher: {{class_path: {TEACHERS}.{kind}, init_args: {{{given}}}}}"


def drawn(kind: str, num_paths: int) -> str:
    return f"{SAMPLER}={{class_path: fold.sampling.{kind}, init_args: {{num_paths: {num_paths}, growth: {GROWN}}}}}"


METHODS: dict[str, tuple[str, ...]] = {  # what is changed
    "no KL": (NO_KL,),
    "CTC between repeats": (further(BETWEEN),),
    "self-conditioned": (f"{NETWORK}={VARIANTS}.SelfConditioned", further(BETWEEN)),
    "cyclic, told": (f"{NETWORK}={VARIANTS}.CyclicFeedback",),
    "depth-conditioned": (f"{NETWORK}=studies.conditioning.DepthConditioned",),
    "KL to every path": (NO_KL, further(teacher("EveryPath", weight=0.1))),
    "KL at temperature 2": (NO_KL, further(teacher("EveryPath", weight=0.1, temperature=2))),
    "KL where the teacher is right": (NO_KL, further(teacher("Right", weight=0.1))),
    "KL from the average": (NO_KL, further(teacher("FromAverage", weight=0.1))),
    "states as the deepest's": (NO_KL, further(teacher("LikeStates", weight=0.1))),
    "four sampled paths": (drawn("DepthFirst", 4),),
    "three repeats": ("--model.max_repeats=3", drawn("Even", 1)),
}


def main() -> None:
    options = options_of(__doc__, lambda: [run for runs in methods().values() for run in runs])
    if not methods():
        sys.exit("the foldable model's learning rate is not chosen yet: python -m studies.depth")
    train_methods(methods(), options)
    update_pages({TABLES / "methods.md": {"methods": variants_table(methods())}})


def methods() -> dict[str, list[Run]]:
    """Runs by name, what they are compared with first; none before the foldable model's learning rate is chosen."""
    rate = depth.best_rate("foldable", CORPUS)
    if rate is None:
        return {}
    recipe = (*depth.RECIPES[CORPUS], f"--model.optimizer.init_args.lr={rate:g}")
    plain = [depth.run("foldable", CORPUS, seed, rate) for seed in depth.SEEDS]
    return {"foldable": plain} | {
        name: [Run(STUDY, name, depth.FOLD, CORPUS, (GROWTH, *changes, *recipe), seed) for seed in depth.SEEDS]
        for name, changes in METHODS.items()
    }


if __name__ == "__main__":
    main()

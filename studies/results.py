"""The study behind RESULTS.md: is one foldable model as good as one trained for each depth, and what makes it so?

    make results                                   (python -m studies.results --root path/to/fsdd)

Part A holds a foldable model against individually trained ones, B leaves out or changes parts of the method, C tries
what the paper does not have. Learning rates are chosen first, on dev. Every finished run leaves its records in
studies/results/, so that the study goes on where it was interrupted; RESULTS.md and docs/results/ have their tables
from them. `--page-only` makes the tables again, `--commands` prints how each run is trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean

from studies.results_page import (
    PAGE,
    TABLES,
    beyond_table,
    claim_table,
    comparison,
    figure,
    mean_wer,
    paths_table,
    rates_table,
    update_pages,
    variants_in_short,
    variants_table,
)
from studies.runs import ADAMW, GROWTH, Run, fold, options_of, train_all

STUDY = "study"
UPDATES = {"fsdd": 1200, "commands": 2000}  # by corpus
SEEDS = (1, 2, 3)
SEEDS_OF_VARIANTS = {"fsdd": (1, 2), "commands": (1,)}
DEPTHS = range(4, 9)
LEARNING_RATES = {"fsdd": (7.5e-4, 1.5e-3, 3e-3, 6e-3), "commands": (1.5e-3, 3e-3, 6e-3)}
SEARCHED = (4, 6, 8)  # layers of the individually trained models that learning rates are chosen with
VARIANT = "--model.network.class_path=studies.variants"
KL = "--model.objective.distillation"
SAMPLER = "--model.sampler"
NO_GROWTH = f"{SAMPLER}.growth={{alone: 0, grown: 0}}"
FULL_KL = (f"{KL}.weight=1", NO_GROWTH)  # what B and C start from
TENTH = (f"{KL}.weight=0.1",)
CHOSEN = (*TENTH, GROWTH)  # from B and C, on dev: what A holds against individually trained models
PARTS: dict[str, tuple[str, ...]] = {  # B
    "no sampled paths": (f"{SAMPLER}.num_paths=0",),
    "two sampled paths": (f"{SAMPLER}.num_paths=2",),
    "four sampled paths": (f"{SAMPLER}.num_paths=4",),
    "no seed term": ("--model.objective.seed.weight=0",),
    "no KL": (f"{KL}.weight=0",),
    "a tenth of the KL": TENTH,
    "a tenth of the KL, early": (f"{KL}={{weight: 0.1, start: 0.0, end: 0.5}}",),
    "KL from the first step": (f"{KL}={{weight: 1.0, start: 0.0, end: 0.0}}",),
    "KL where the teacher is better": (
        f"{KL}={{weight: 1.0, start: 0.0, end: 0.0}}",
        f"{KL}.where=teacher_better",
    ),
    "paths drawn uniformly": (f"{SAMPLER}=fold.sampling.Uniform", f"{SAMPLER}.num_paths=1", NO_GROWTH),
}
BEYOND: dict[str, tuple[str, ...]] = {  # C
    "BatchNorm": ("--model.network.conv_norm=batch",),
    "BatchNorm of each repeat": (f"{VARIANT}.PrivateBatchNorm", "--model.network.conv_norm=batch"),
    "GroupNorm": ("--model.network.conv_norm=group",),
    "norms of each repeat": (f"{VARIANT}.PrivateNorms",),
    "adapters of each repeat": (f"{VARIANT}.Adapters",),
    "cyclic order": (f"{VARIANT}.CyclicOrder",),
    "growing paths": (GROWTH,),
}


def main() -> None:
    options = options_of(__doc__, lambda: [*searches(), *(everything() if searched() else ())])
    if not options.page_only:
        for stage in (searches, first_seeds, everything):  # each rests on those before
            train_all(dict.fromkeys(stage()), options.places, options.jobs)
        for run in folds("commands"):
            beyond_training(run)
    update_pages({TABLES / "learning-rates.md": {"learning rates": rates_table(finished(searches()))}})
    if searched():
        update_pages(parts())


def parts() -> dict[Path, dict[str, str]]:
    """Of the pages, made of what is finished."""
    claims = {corpus: finished(claim(corpus)) for corpus in UPDATES}
    varied_by_corpus = {part: {corpus: varied(part, corpus) for corpus in UPDATES} for part in "BC"}
    beyond = beyond_table([run for run in folds("commands") if run.evaluated("beyond")])
    of_claim = {"paths": paths_table({corpus: finished(folds(corpus)) for corpus in UPDATES}), "beyond": beyond}
    for corpus, runs in claims.items():
        of_claim[f"A {corpus}"] = comparison(runs)
        of_claim[f"figure A {corpus}"] = figure(runs, f"A {corpus}", f"{corpus}: WER on the test split")
    of_parts = {
        part: {f"{part} {corpus}": variants_table(variants) for corpus, variants in by_corpus.items()}
        for part, by_corpus in varied_by_corpus.items()
    }
    return {
        PAGE: {"A": claim_table(claims), **{part: variants_in_short(varied_by_corpus[part]) for part in "BC"}},
        TABLES / "one-model-or-many.md": of_claim,
        TABLES / "parts-of-the-method.md": of_parts["B"],
        TABLES / "beyond-the-paper.md": {**of_parts["C"], "improvements": variants_table(improvements())},
    }


def searched() -> bool:
    """Whether the learning rates are known, on which all other parts depend."""
    return all(run.finished for run in searches())


def finished(runs: Sequence[Run]) -> list[Run]:
    return [run for run in runs if run.finished]


def foldable(lr: float, corpus: str, seed: int, name: str = "", options: Sequence[str] = FULL_KL) -> Run:
    """4 physical layers, unfolded to depths 4 to 8."""
    return Run(STUDY, name or f"fold lr {lr:g}", "conformer_fold", corpus, (*base(lr, corpus), *options), seed)


def physical(lr: float, corpus: str, seed: int, depth: int) -> Run:
    """The same network of `depth` physical layers."""
    options = (*base(lr, corpus), f"--model.network.num_layers={depth}")
    return Run(STUDY, f"physical {depth} lr {lr:g}", "conformer_physical", corpus, options, seed)


def base(lr: float, corpus: str) -> tuple[str, ...]:
    updates = UPDATES[corpus]
    return (
        ADAMW,
        "--model.network.num_mels=40",  # as the experiments had when it began
        "--data.update_seconds=25",
        f"--trainer.max_steps={updates}",
        f"--trainer.val_check_interval={updates}",
        f"--model.optimizer.init_args.lr={lr:g}",
        f"--model.lr_scheduler.init_args.max_lr={lr:g}",
    )


def searches() -> list[Run]:
    """Learning rates of both families."""
    depths = (None, *SEARCHED)
    return [run for corpus in UPDATES for depth in depths for run in search(corpus, depth).values()]


def search(corpus: str, depth: int | None) -> dict[float, Run]:
    """Runs by learning rate: of the individually trained model of a depth, of the foldable one for None."""
    train = foldable if depth is None else partial(physical, depth=depth)
    return {lr: train(lr, corpus, 1) for lr in LEARNING_RATES[corpus]}


def best_rate(*searches: Mapping[float, Run]) -> float:
    """The learning rate with the lowest dev WER, averaged over depths and then over searches."""
    return min(searches[-1], key=lambda lr: fmean(mean_wer(runs[lr], "dev") for runs in searches))


def fold_rate() -> float:
    """One for both corpora, as a default must serve."""
    return best_rate(*(search(corpus, None) for corpus in UPDATES))


def physical_rate(corpus: str, depth: int) -> float:
    """That of the searched depth nearest to it, of two the deeper."""
    return best_rate(search(corpus, min(reversed(SEARCHED), key=lambda searched: abs(searched - depth))))


def claim(corpus: str) -> list[Run]:
    """Part A."""
    found = []
    for run in folds(corpus):
        found += [run, *(physical(physical_rate(corpus, depth), corpus, run.seed, depth) for depth in DEPTHS)]
    return found


def folds(corpus: str) -> list[Run]:
    """The foldable runs of part A."""
    return [foldable(fold_rate(), corpus, seed, "fold", CHOSEN) for seed in SEEDS]


def varied(part: str, corpus: str) -> dict[str, list[Run]]:
    """Part B or C: runs by name, what they start from first."""
    lr, seeds = fold_rate(), SEEDS_OF_VARIANTS[corpus]
    start = {"full KL": [foldable(lr, corpus, seed) for seed in seeds]}
    changed = {
        name: [foldable(lr, corpus, seed, name, (*FULL_KL, *options)) for seed in seeds]
        for name, options in {"B": PARTS, "C": BEYOND}[part].items()
    }
    return start | changed


def improvements() -> dict[str, list[Run]]:
    """What was tried on top of a tenth of the KL, with as many seeds as part A, on the corpus where depth matters: runs
    by name, the chosen first."""
    name = "a tenth of the KL"
    tried = {
        name: (fold_rate(), ()),
        f"{name}, norms of each repeat": (fold_rate(), BEYOND["norms of each repeat"]),
        f"{name}, twice the learning rate": (2 * fold_rate(), ()),
    }
    return {"growing paths (chosen)": folds("commands")} | {
        name: [foldable(lr, "commands", seed, name, (*FULL_KL, *TENTH, *options)) for seed in SEEDS]
        for name, (lr, options) in tried.items()
    }


def variants(corpus: str) -> list[Run]:
    return [run for part in "BC" for runs in varied(part, corpus).values() for run in runs]


def first_seeds() -> list[Run]:
    """One seed of each: what says most, soonest."""
    return [run for run in everything() if run.seed == SEEDS[0]]


def everything() -> list[Run]:
    of_corpora = [run for corpus in reversed(UPDATES) for run in (*claim(corpus), *variants(corpus))]
    return of_corpora + [run for runs in improvements().values() for run in runs if run not in of_corpora]


def beyond_training(run: Run) -> None:
    """Sweeps the canonical paths of dev with every layer up to three times, where training had two."""
    if not run.evaluated("beyond"):
        output = run.folder / "beyond"
        canonical = ("--max_repeats=3", "--paths_per_depth=0")
        fold("sweep", f"--ckpt_path={run.checkpoint}", "--split=dev", *canonical, f"--output={output}")
        run.keep("beyond", output / "depth_sweep.json")


if __name__ == "__main__":
    main()

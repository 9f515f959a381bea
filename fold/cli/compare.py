"""`fold compare`: systems side by side."""

from __future__ import annotations

import textwrap
from pathlib import Path

from jsonargparse.typing import NonNegativeFloat
from tqdm import tqdm

from fold.cli.compare_times import recordings_of, timed_in_turns
from fold.cli.parser import OneLineErrors
from fold.data.cache import ShardCache
from fold.errors import FoldError
from fold.evaluation.checkpoint import Evaluation, Split, evaluate
from fold.report.archive import read_archive, split_path
from fold.report.compare import formats
from fold.report.compare import table as tables
from fold.report.compare.conclusion import conclusion
from fold.report.compare.figures import drawings
from fold.report.compare.page import Comparison, examples, render
from fold.report.compare.pairs import all_pairs
from fold.report.compare.systems import System, by_subset, group
from fold.report.record import Record, read_record, record_of_sweep, write_record

MARGIN = 0.5


def run(arguments: list[str]) -> None:
    """Parses the arguments of `compare` and calls it."""
    parser = OneLineErrors(prog="fold compare", description="Systems side by side.")
    parser.add_argument(
        "runs", nargs="+", type=str, help="run folders, sweeps, checkpoints or archives, each perhaps as LABEL=PATH"
    )
    parser.add_function_arguments(compare, skip={"runs"})
    compare(**parser.instantiate(parser.parse_args(arguments)))


def compare(
    runs: list[str],
    output: str = "comparison",
    against: str | None = None,
    margin: NonNegativeFloat = MARGIN,
    title: str = "Systems by depth",
    split: Split = "test",
    pooled: bool = False,
    time: bool = False,
    shards: str | None = None,
    device: str | None = None,
) -> None:
    """Writes tables, figures, significance and a page (report.html) that compare runs on the same test set.

    Of several subsets each is compared by itself, in a folder of its name.

    Args:
        runs: run folders, depth_sweep.json or .csv files, checkpoints, or an archive of evaluations (FILE.jsonl.xz, or
            FILE.jsonl.xz/PATTERN for some of it), each perhaps as LABEL=PATH; those of equal label, or that differ
            only in their random seeds, are runs of one system.
        output: folder for the results.
        against: label of the system that the others are tested against; by default a foldable system is tested at each
            depth against the one trained only for that depth.
        margin: difference in WER, in percent, that counts as equivalent.
        title: of the page and its figures.
        split: of the corpus that checkpoints are evaluated on.
        pooled: compare on all subsets together instead of on each.
        time: measure real-time factors anew, all runs in turns, so that they compare; needs their checkpoints.
        shards: where prepared corpora lie, whose recordings are timed and can be heard on the page; by default where
            the first run had them.
        device: of checkpoints' evaluation, and of times: cpu, cuda, ...; by default an accelerator if there is one.
    """
    named = {Path(path).resolve(): (label, Path(path)) for label, path in map(_labelled, runs)}  # `latest` is a run too
    found = [(label, path, record) for label, path in named.values() for record in find_records(path, split, device)]
    labels, records = [label for label, _, _ in found], [record for _, _, record in found]
    if time:
        records = timed_in_turns(records, [path for _, path, _ in found], shards, device)
    if pooled:
        records = [record.pooled() for record in records]
    parts, several = by_subset(records), dict.fromkeys(s for r in records if len(r.subsets) > 1 for s in r.subsets)
    for subset, of_subset in parts.items():
        heading, folder = (f"{title}, {subset}", Path(output) / subset) if several else (title, Path(output))
        _compare(group(of_subset, labels), against, margin, heading, folder, shards)
    if several.keys() - parts.keys():
        print(f"left out: {', '.join(s for s in several if s not in parts)} (not every run was evaluated on it)")


def _compare(
    systems: list[System], against: str | None, margin: float, title: str, folder: Path, shards: str | None
) -> None:
    """Compares systems on one test set."""
    reference = _named(systems, against) if against else None
    table = tables.rows(systems, reference, margin)
    pairs = list(tqdm(all_pairs(systems, margin), desc="testing", unit=" pairs", leave=False, disable=None))
    made = Comparison(
        title,
        systems,
        table,
        conclusion(systems, table),
        tables.notes(table, margin),
        pairs,
        drawings(systems),
        recordings_of(systems[0].record, [example.id for example in examples(systems)], shards),
    )
    _write(folder, made)
    told = [*made.notes, "", *made.conclusion]
    print(title, *formats.to_terminal(table), "", *(textwrap.fill(line, 80) for line in told), sep="\n")
    print(f"comparison: {folder}/report.html")


def _labelled(run: str) -> tuple[str | None, str]:
    label, equals, path = run.partition("=")
    return (label, path) if equals and not Path(run).exists() else (None, run)


def _named(systems: list[System], label: str) -> System:
    for system in systems:
        if system.label == label:
            return system
    raise FoldError(f"--against={label}: no such system; there are {', '.join(system.label for system in systems)}")


def find_records(path: Path, split: Split, device: str | None) -> list[Record]:
    """The records that a path stands for: all in an archive that match its pattern, else one. Raises FoldError."""
    if inside := split_path(path):
        archive = read_archive(inside[0])
        return [archive.record(name) for name in archive.names(inside[1])]
    return [find_record(path, split, device)]


def find_record(path: Path, split: Split, device: str | None) -> Record:
    """The record that a run folder, a file of a sweep or a checkpoint stands for; a checkpoint is evaluated.

    Raises FoldError if there is none.
    """
    if path.is_dir():
        for name in ("depth_sweep.json", "depth_sweep.csv"):
            if (path / name).exists():
                return find_record(path / name, split, device)
        raise FoldError(f"{path}: holds no depth_sweep.json; it is written when a run ends, or by `fold sweep`")
    if path.suffix == ".json":
        return read_record(path)
    if path.suffix == ".csv":
        return record_of_sweep(path)
    if path.suffix == ".ckpt" and path.exists():
        kept = path.with_suffix(f".{split}.json")  # not that of `fold sweep`, which may have decoded otherwise
        if not kept.exists() or kept.stat().st_mtime < path.stat().st_mtime:
            cache = ShardCache(Path("shards/cache"), 50 * 10**9)
            write_record(evaluate(path, Evaluation(split, device=device), None, cache), kept)
        return read_record(kept)
    raise FoldError(f"{path}: no run folder, depth_sweep.json, depth_sweep.csv or checkpoint (.ckpt)")


def _write(folder: Path, made: Comparison) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for drawing in made.drawings:
        drawing.figure.savefig(folder / f"{drawing.name}.png")
        drawing.figure.savefig(folder / f"{drawing.name}.svg")
    texts = {
        "table.csv": formats.to_csv(made.table),
        "table.md": formats.to_markdown(made.table),
        "table.tex": formats.to_latex(made.table),
        "significance.csv": formats.pairs_to_csv(made.pairs),
        "report.html": render(made),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")

"""`fold sweep`: WER per depth of a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from rich.console import Console
from torch.utils.data import DataLoader
from tqdm import tqdm

from fold import checkpoint
from fold.cli.device import choose_device
from fold.cli.parser import OneLineErrors
from fold.data.cache import ShardCache
from fold.data.location import Location
from fold.data.plans import EvalPlan
from fold.data.stream import ShardedSpeech
from fold.decoding.decode import Decoding
from fold.errors import FoldError
from fold.evaluation import sweep, sweep_paths, sweep_rows
from fold.report.figure import plot_sweep
from fold.report.sweep import write_sweep
from fold.report.table import sweep_table


def run(arguments: list[str]) -> None:
    """Parses the arguments of `sweep_checkpoint` and calls it."""
    parser = OneLineErrors(prog="fold sweep", description="WER per depth of a checkpoint.")
    parser.add_function_arguments(sweep_checkpoint)
    sweep_checkpoint(**parser.instantiate_classes(parser.parse_args(arguments)))


def sweep_checkpoint(
    ckpt_path: str,
    split: Literal["train", "dev", "test"] = "test",
    shards: str | None = None,
    output: str | None = None,
    depths: list[int] | None = None,
    paths_per_depth: int = 8,
    batch_seconds: float = 120.0,
    decoding: Decoding = Decoding(),
    device: str | None = None,
) -> None:
    """Evaluates a checkpoint at every depth and writes depth_sweep.csv and depth_sweep.png.

    Args:
        ckpt_path: a checkpoint of `fold fit`.
        split: of the corpus.
        shards: a prepared corpus; by default the one the model was trained on.
        output: folder for the results; by default sweep-<split> beside the checkpoint's folder.
        depths: depths to evaluate; by default all.
        paths_per_depth: paths sampled of each depth besides the canonical one.
        batch_seconds: padded audio in a batch.
        decoding: how transcripts are found.
        device: cpu, cuda, ...; by default an accelerator if there is one.
    """
    model, description = checkpoint.load(ckpt_path)
    location = Location.of(shards or description.shards, ShardCache(Path("shards/cache"), 50_000_000_000))
    index = location.index()
    if index.sample_rate != description.sample_rate:
        raise FoldError(f"{location}: {index.sample_rate} Hz, but the model takes {description.sample_rate} Hz")
    data = ShardedSpeech(location, index.splits[split], index.sample_rate, description.units)
    target = choose_device(device)
    space, model = description.space, model.to(target)
    plan = EvalPlan(data.lengths(), len(data.split.shards), round(batch_seconds * index.sample_rate))
    paths = sweep_paths(space, depths or space.depths, paths_per_depth)

    with tqdm(total=index.splits[split].utterances, unit=" utterances", desc=f"{len(paths)} paths") as bar:
        loader = DataLoader(data, sampler=plan, batch_size=None, collate_fn=lambda batch: batch)
        for counts in sweep(model, description.units, loader, paths, decoding, target):
            bar.update(counts[0].sentences - bar.n)
            bar.set_postfix({"wer": f"{counts[-1].wer:.2f}"})

    rows = sweep_rows(space, paths, counts, model.num_parameters())
    target_folder = Path(output) if output else Path(ckpt_path).parent.parent / f"sweep-{split}"
    write_sweep(rows, target_folder / "depth_sweep.csv")
    title = f"{index.corpus['class']} {split}: WER by executed depth"
    plot_sweep(rows, target_folder / "depth_sweep.png", title)
    Console().print(sweep_table(rows, title))
    print(f"sweep: {target_folder}")

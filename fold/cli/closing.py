"""The last lines of a run: WER by depth, where everything lies, and what to do next."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

import lightning
from rich.console import Console

from fold.data.samples import sample_sentences, write_sample
from fold.report.table import sweep_table
from fold.training.callbacks import DepthSweep
from fold.training.module import foldable
from fold.training.parts import callbacks_of, data_of

SAMPLE = "sample.wav"  # in the run folder: something to transcribe


def closing(trainer: lightning.Trainer, command: str, run: Path, checkpoint: Path, offline: str | None) -> None:
    """Prints the end of a command. checkpoint: that `fit` has written; offline: folder of an offline W&B run."""
    sweep = _sweep(trainer) if command in ("fit", "test") else None
    if sweep:
        print()
        Console().print(sweep_table(sweep.rows, f"{sweep.experiment}: WER by executed depth"))
        print(f"figure: {sweep.folder / 'depth_sweep.png'}")
    if offline:
        print(f"W&B, offline: {_shown(offline)}")
    print(f"run: {run}")
    if sweep and command == "fit" and checkpoint.exists():
        print("\n".join(next_steps(trainer, run, checkpoint)))


def _sweep(trainer: lightning.Trainer) -> DepthSweep | None:
    """The depth sweep of a run that has come to one."""
    return next((one for one in callbacks_of(trainer) if isinstance(one, DepthSweep) and one.rows), None)


def next_steps(trainer: lightning.Trainer, run: Path, checkpoint: Path) -> list[str]:
    """Lines that name a recording, sentences to record, and the command that transcribes them."""
    data, depths = data_of(trainer), foldable(trainer.lightning_module).space.depths
    said = write_sample(data, run / SAMPLE)
    sentences = [f'  "{text}"' for text in sample_sentences(data)]
    lines = ["", "Sentences to say to this model, or others like them:", *sentences] if sentences else []
    what = "an utterance of the test" if said else "a recording"
    choice = f" (or any from {depths[0]} to {depths[-1]})" if len(depths) > 1 else ""
    lines += ["", f"Next, transcribe {what} at depth {depths[-1]}{choice}:"]
    lines += [f'  it says "{said.text}"'] if said else []
    return [
        *lines,
        f"  {program()} transcribe --depth {depths[-1]} \\",
        f"    --ckpt_path {shlex.quote(str(checkpoint))} \\",
        f"    {shlex.quote(str(run / SAMPLE)) if said else 'FILE.wav'}",
    ]


def program() -> str:
    """How this program was called, for a command that can be pasted into the same shell."""
    called = Path(sys.argv[0])
    if called.name != "fold":
        return f"{shlex.quote(_shown(sys.executable))} -m fold"
    found = shutil.which("fold")
    return "fold" if found and Path(found).resolve() == called.resolve() else shlex.quote(_shown(called))


def _shown(path: str | Path) -> str:
    """A path relative to the current folder where it lies below it."""
    path = Path(path)
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_absolute() and path.is_relative_to(here) else str(path)

"""Runs the benchmarks and prints their tables; `--output` keeps them."""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.console import Console

from benchmarks.beam import beam
from benchmarks.joint_step import joint_step
from benchmarks.lengths import lengths
from benchmarks.memory import memory
from benchmarks.peer import peer
from benchmarks.report import Section
from benchmarks.sweep import sweep
from benchmarks.workload import Workload
from fold.cli.allocator import keep_freed_memory
from fold.device import choose_device
from fold.errors import FoldError

TINY = Workload(dim=32, num_heads=2, ffn_dim=64, kernel_size=3, num_layers=3, vocab_size=11, batch_size=2, seconds=1.5)


@dataclass(frozen=True)
class Benchmark:
    """A measurement and how many rounds it takes."""

    measure: Callable[[Workload, torch.device, int], Section]
    rounds: int


BENCHMARKS = {
    "joint": Benchmark(joint_step, rounds=6),
    "lengths": Benchmark(lengths, rounds=20),
    "sweep": Benchmark(sweep, rounds=3),
    "peer": Benchmark(peer, rounds=9),
    "beam": Benchmark(beam, rounds=5),
    "memory": Benchmark(memory, rounds=1),
}
WRITERS = {
    ".json": lambda setup, sections: json.dumps(
        {**setup, "benchmarks": {name: section.to_dict() for name, section in sections.items()}}, indent=2
    ),
    ".md": lambda setup, sections: "\n\n".join([*setup.values(), *(s.to_markdown() for s in sections.values())]),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    keep_freed_memory()  # as every command of fold does
    settings = parser().parse_args(arguments)
    work = TINY if settings.quick else replace(Workload(), batch_size=settings.batch_size)
    device, console = settings.device, Console()
    setup = {"machine": machine(device), "workload": str(work)}
    console.print(*setup.values(), sep="\n", highlight=False)
    start, sections = time.perf_counter(), {}
    for name in settings.names or BENCHMARKS:
        torch.manual_seed(0)
        rounds = 1 if settings.quick else BENCHMARKS[name].rounds
        sections[name] = BENCHMARKS[name].measure(work, device, rounds)
        sections[name].print(console)
    if settings.output:
        settings.output.write_text(WRITERS[settings.output.suffix](setup, sections))
    console.print(f"\n{time.perf_counter() - start:.0f} s in all", highlight=False)


def parser() -> argparse.ArgumentParser:
    """What the command line takes."""
    options = argparse.ArgumentParser(
        "python -m benchmarks", description="Speed and memory, as ratios measured in one run."
    )
    options.add_argument("names", nargs="*", type=benchmark_name, help=f"of {', '.join(BENCHMARKS)} (default: all)")
    options.add_argument("--device", type=usable_device, default=choose_device(None), help="default: %(default)s")
    options.add_argument("--batch-size", type=positive, default=Workload.batch_size, help="default: %(default)s")
    options.add_argument("--output", type=output_file, metavar="FILE", help="write the results too, as .json or .md")
    options.add_argument("--quick", action="store_true", help="tiny sizes: does it all run? (no meaningful figures)")
    return options


def benchmark_name(text: str) -> str:
    """A key of BENCHMARKS."""
    if text not in BENCHMARKS:
        raise argparse.ArgumentTypeError(f"no benchmark '{text}'; there are: {', '.join(BENCHMARKS)}")
    return text


def positive(text: str) -> int:
    """A number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}': expected a whole number of at least 1")
    return int(text)


def usable_device(text: str) -> torch.device:
    """The device of that name, if this machine has it."""
    try:
        return choose_device(text)
    except FoldError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def output_file(text: str) -> Path:
    """A file whose format is known by its suffix."""
    if Path(text).suffix not in WRITERS:
        raise argparse.ArgumentTypeError(f"'{text}': expected a name ending in {' or '.join(WRITERS)}")
    return Path(text)


def machine(device: torch.device) -> str:
    """What the figures were measured on, in one line."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        name = f"{device.type} ({platform.machine()}, {torch.get_num_threads()} threads)"
    return f"{name}, torch {torch.__version__}, Python {platform.python_version()}"


if __name__ == "__main__":
    main()

"""`fold-device bench`, which is `fold bench-device` too."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fold_device.bench.budget import Budget, advice
from fold_device.bench.figures import draw
from fold_device.bench.measure import Effort, measure
from fold_device.bench.record import Record, read_record, write_record
from fold_device.bench.table import table
from fold_device.bench.wer import read_transcripts
from fold_device.errors import DeviceError

SUMMARY = "What each depth and precision costs on this machine: time, memory, disk, WER; which to use."
OUTPUT = "bench-device"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `run`."""
    parser.add_argument("model", nargs="?", help="a folder that `fold export --to onnx` wrote")
    parser.add_argument("audio", nargs="*", help="files to time; by default those of --transcripts")
    parser.add_argument("--transcripts", metavar="FILE", help="a list with columns audio and text: WER is measured too")
    parser.add_argument("--depths", type=_numbers, help="such as 4,6,8; by default all")
    parser.add_argument("--precisions", type=lambda text: text.split(","), help="such as fp32,int8; by default all")
    parser.add_argument("--rounds", type=int, default=Effort.rounds, help="of measuring in turns (3)")
    parser.add_argument("--timed", type=int, default=Effort.timed, help="files that each process is timed on (20)")
    parser.add_argument("--beside", nargs="+", default=[], metavar="FILE", help="records to draw beside this one")
    parser.add_argument("--output", default=OUTPUT, help="folder for bench.json and bench.png (bench-device)")
    parser.add_argument("--record", metavar="FILE", help="a bench.json to take instead of measuring")
    parser.add_argument("--budget.memory", dest="memory", help="above an empty process, such as 40MB")
    parser.add_argument("--budget.real_time_factor", dest="factor", type=float, help="on one thread, such as 0.05")
    parser.add_argument("--budget.within", dest="within", type=float, help="percent above the lowest WER, relative")


def run(arguments: argparse.Namespace) -> None:
    """Calls `bench` with parsed arguments."""
    bench(
        arguments.model,
        arguments.audio,
        transcripts=arguments.transcripts,
        depths=arguments.depths,
        precisions=arguments.precisions,
        effort=Effort(arguments.rounds, arguments.timed),
        beside=arguments.beside,
        output=arguments.output,
        record=arguments.record,
        budget=Budget(arguments.memory, arguments.factor, arguments.within),
    )


def bench(
    model: str | None = None,
    audio: Sequence[str] | None = None,
    transcripts: str | None = None,
    depths: Sequence[int] | None = None,
    precisions: Sequence[str] | None = None,
    effort: Effort = Effort(),
    beside: Sequence[str] = (),
    output: str = OUTPUT,
    record: str | None = None,
    budget: Budget = Budget(),
) -> None:
    """Measures a model, or reads a record; prints the table and, if there is a budget, the choice.

    Args:
        model: a folder that `fold export --to onnx` wrote.
        audio: files to time; by default those of `transcripts`.
        transcripts: a list with columns audio and text: WER is measured too.
        depths: to measure; by default all.
        precisions: to measure; by default all.
        effort: how thoroughly it is measured.
        beside: records to draw beside this one.
        output: folder for bench.json and bench.png.
        record: a bench.json to take instead of measuring.
        budget: what a depth may cost; the depth and precision to use are named.

    Raises:
        DeviceError: an argument is wrong, or neither or both of a model and a record are given.
    """
    if (model is None) == (record is None):
        raise DeviceError("expected a model to measure, or --record=FILE of an earlier measurement")
    if record is not None:
        found = read_record(record)
        print(table(found))
    else:
        said = read_transcripts(transcripts) if transcripts else {}
        others = [read_record(file) for file in beside]
        found = measure(str(model), list(audio or said), said, depths, precisions, effort)
        _keep(found, others, Path(output))
    if budget:
        print(advice(found, budget))


def _keep(record: Record, beside: list[Record], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_record(record, folder / "bench.json")
    print(table(record))
    print(f"record: {folder / 'bench.json'}")
    if record.words:
        _draw(record, beside, folder / "bench.png")


def _draw(record: Record, beside: list[Record], file: Path) -> None:
    try:
        draw(record, beside, file)
        print(f"figure: {file}")
    except DeviceError as error:
        print(f"fold-device: {error}", file=sys.stderr)


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected numbers such as 4,6,8") from None

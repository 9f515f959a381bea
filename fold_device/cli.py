"""The command `fold-device`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from typing import NoReturn

import fold_device
from fold_device.audio import Channel
from fold_device.bench import command as bench
from fold_device.cutting import Utterances
from fold_device.errors import DeviceError, DeviceWarning
from fold_device.microphone import microphone
from fold_device.model import LONGEST_SECONDS, PAUSE_SECONDS, load
from fold_device.words import Transcript

MICROPHONE_PAUSE = 0.6  # seconds that end an utterance: who speaks freely pauses for longer


class OneLineErrors(argparse.ArgumentParser):
    """A parser whose errors are a `DeviceError` of one line."""

    def error(self, message: str) -> NoReturn:
        raise DeviceError(f"{message}; `{self.prog} --help` lists what there is")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command. Returns the exit status: 0, or 2 after one line on standard error."""
    try:
        arguments = _parser().parse_args(sys.argv[1:] if argv is None else argv)
        return int(arguments.run(arguments) or 0)
    except DeviceError as error:
        print(f"fold-device: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = OneLineErrors(prog="fold-device", description=fold_device.__doc__, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"fold-device {fold_device.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=OneLineErrors)
    of_files = _add(commands, "transcribe", _transcribe, "Recordings to text.")
    of_files.add_argument("files", nargs="+", help="audio of any sample rate and length")
    of_files.add_argument("--pause", type=float, default=PAUSE_SECONDS, help="seconds between two utterances (0.3)")
    of_files.add_argument(
        "--channel", type=_channel, default="mix", help="mix (the mean of all), left, right or a number"
    )
    of_files.add_argument("--longest", type=float, default=LONGEST_SECONDS, help="seconds of an utterance (30)")
    heard = _add(commands, "listen", _listen, "What the microphone hears, an utterance at a time, until Ctrl-C.")
    for command in (of_files, heard):
        command.add_argument("--depth", type=int, help="executed depth; by default the deepest")
        command.add_argument("--repeats", type=_repeats, help="of each layer, such as 1,2,1,2, instead of a depth")
        command.add_argument("--precision", help="of the weights; by default int8, if the folder holds it")
        command.add_argument("--threads", type=_threads, default=1, help="that compute (1); 0: one for each core")
        command.add_argument("--format", choices=FORMATS, default="text", help="what is printed (text)")
    measured = commands.add_parser("bench", help=bench.SUMMARY, description=bench.SUMMARY, allow_abbrev=False)
    bench.add_arguments(measured)
    measured.set_defaults(run=bench.run)
    return parser


def _add(
    commands: argparse._SubParsersAction[OneLineErrors],
    name: str,
    run: Callable[[argparse.Namespace], int | None],
    summary: str,
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=summary, description=summary, allow_abbrev=False)
    parser.add_argument("model", help="a folder that `fold export --to onnx` wrote")
    parser.set_defaults(run=run)
    return parser


def _repeats(text: str) -> list[int]:
    try:
        return [int(part) for part in text.replace("-", ",").split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number for each layer, such as 1,2,1,2") from None


def _channel(text: str) -> Channel:
    match text:
        case "mix" | "left" | "right":
            return text
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r}: expected mix, left, right or a number from 1")
    return int(text)


def _threads(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number, at least 0")
    return int(text)


def _transcribe(arguments: argparse.Namespace) -> int:
    model = load(arguments.model, arguments.precision, arguments.threads)
    chosen = model.description.choose(arguments.depth, arguments.repeats)
    failed = 0
    for file in arguments.files:
        begun = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("always", DeviceWarning)
                warnings.showwarning = lambda message, *where: print(f"fold-device: {message}", file=sys.stderr)
                said = model.transcribe(
                    file,
                    repeats=chosen,
                    pause=arguments.pause,
                    longest=arguments.longest,
                    channel=arguments.channel,
                )
        except DeviceError as error:  # the other files are still done
            print(f"fold-device: {error}", file=sys.stderr)
            failed = 2
            continue
        print(FORMATS[arguments.format](file, said, time.perf_counter() - begun), flush=True)
    return failed


def _listen(arguments: argparse.Namespace) -> None:
    model = load(arguments.model, arguments.precision, arguments.threads)
    chosen = model.description.choose(arguments.depth, arguments.repeats)
    rate = model.description.sample_rate
    print(f"listening at depth {sum(chosen)}; Ctrl-C ends it", file=sys.stderr)
    begun = time.perf_counter()
    for said in model.pieces(Utterances(rate, MICROPHONE_PAUSE, ahead=0.0)(microphone(rate)), chosen):
        print(FORMATS[arguments.format]("microphone", said, time.perf_counter() - begun), flush=True)


def _as_text(name: str, said: Transcript, _: float) -> str:
    return f"{name}\t{said.text}"


def _as_words(name: str, said: Transcript, _: float) -> str:
    lines = [f"{word.start:.2f}\t{word.end:.2f}\t{word.confidence:.3f}\t{word.text}" for word in said.words]
    return "\n".join([name, *lines])


def _as_json(name: str, said: Transcript, took: float) -> str:
    return json.dumps({"file": name, **dataclasses.asdict(said), "took_seconds": round(took, 4)}, ensure_ascii=False)


FORMATS = {"text": _as_text, "words": _as_words, "json": _as_json}

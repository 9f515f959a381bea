"""A help that fits a few screens: examples first, then a command's settings, a line or two for each."""

from __future__ import annotations

import re
import shutil
import textwrap
from argparse import SUPPRESS, Action
from collections.abc import Callable, Iterator

from jsonargparse import ArgumentParser

EXAMPLES = {
    "fit": (
        "fold fit --config conformer_fold --config commands",
        "fold fit --config conformer_fold --config manifest --data.root=folder --model.max_repeats=3",
        "fold fit --config conformer_fold --config commands --ckpt_path=last --trainer.max_steps=3600",
        "fold fit --config conformer_fold --config fsdd --init_from=runs/conformer_fold/latest",
    ),
    "validate": ("fold validate --config runs/conformer_fold/latest/config.yaml --ckpt_path=best.ckpt",),
    "test": ("fold test --config runs/conformer_fold/latest/config.yaml --ckpt_path=best.ckpt --run_dir=again",),
    "predict": ("fold predict --config runs/conformer_fold/latest/config.yaml --ckpt_path=best.ckpt",),
    "prepare": (
        "fold prepare --config commands",
        "fold prepare --config librispeech --data.root=path/to/LibriSpeech",
    ),
    "sweep": (
        "fold sweep --ckpt_path=last.ckpt",
        "fold sweep --ckpt_path=last.ckpt --split=dev --depths=[4,6,8] --decoding.method=beam",
        "fold sweep --ckpt_path=last.ckpt --split=dev --decoding.method=beam --decoding.lm=lm.arpa",
    ),
    "ngram": (
        "fold ngram lm.arpa --ckpt_path=last.ckpt",
        "fold ngram lm.arpa --ckpt_path=last.ckpt --order=4 --texts=[more.txt]",
    ),
    "transcribe": (
        "fold transcribe a.wav b.flac --ckpt_path=last.ckpt",
        "fold transcribe a.wav --ckpt_path=last.ckpt --path=1-1-2-3-4",
    ),
    "compare": (
        "fold compare runs/conformer_fold/latest runs/conformer_physical/latest",
        "fold compare folded=run1 folded=run2 physical=run3 --against=physical",
    ),
    "bench-device": (
        "fold bench-device device --transcripts=test.tsv",
        "fold bench-device --record=bench-device/bench.json --budget.memory=40MB",
    ),
    "demo": (
        "fold demo device",
        "fold demo device --output=site --serve=false",
    ),
    "dashboard": ("fold dashboard --entity=my_team",),
    "export": (
        "fold export --to=onnx --ckpt_path=last.ckpt --output=device",
        "fold export --to=sherpa --ckpt_path=last.ckpt --depth=6 --storage=fp32",
        "fold export --to=huggingface --ckpt_path=last.ckpt --depth=12",
    ),
    "set-depth": ("fold set-depth sherpa/model.int8.onnx --depth=8",),
}
OF_LIGHTNING = ("trainer", "checkpoint")  # groups whose help is long
NAME_WIDTH, MOST_WIDTH = 30, 100


def short_help(parser: ArgumentParser, shown: Callable[[str], bool]) -> str:
    """The help of a command. shown: whether a setting, by its name, is in it; groups within groups are a line each."""
    width = min(shutil.get_terminal_size().columns, MOST_WIDTH)
    arguments = " ".join(_placeholder(action) for action in _positional(parser))
    lines = [f"usage: {parser.prog} {arguments + ' ' if arguments else ''}[--SETTING=VALUE ...]", ""]
    if parser.description:
        told = parser.description[0].upper() + parser.description[1:].rstrip(".")
        lines += [*textwrap.wrap(f"{told}.", width), ""]
    if examples := EXAMPLES.get(parser.prog.rpartition(" ")[2]):
        lines += ["examples:", *(f"  {example}" for example in examples), ""]
    for title, entries in _groups(parser, shown).items():
        lines += [f"{title}:", *(line for name, text in entries for line in _entry(name, text, width)), ""]
    return "\n".join(lines)


def _positional(parser: ArgumentParser) -> list[Action]:
    return [action for action in parser._actions if not action.option_strings and action.help != SUPPRESS]


def _placeholder(action: Action) -> str:
    return str(action.metavar or action.dest.upper())


def _groups(parser: ArgumentParser, shown: Callable[[str], bool]) -> dict[str, list[tuple[str, str]]]:
    """Entries (name, text) by the title of their part: the command's own settings first, those of the trainer last."""
    groups: dict[str, list[tuple[str, str]]] = {}
    whole = {action.dest: action for action in parser._actions if _is_group(action)}
    for action in parser._actions:
        name = action.option_strings[-1].lstrip("-") if action.option_strings else action.dest
        if action.help == SUPPRESS or name.endswith(".help") or name in whole or not shown(action.dest):
            continue
        parts = action.dest.split(".")
        group = parts[0] if parts[0] in whole else "settings"
        entries = groups.setdefault(group, [])
        inner = ".".join(parts[:2])
        if len(parts) > 2 and inner in whole:
            entry = (f"--{inner}.*", _title_of(parser, inner))
            if entry not in entries:
                entries.append(entry)
        else:
            entries.append((_option(action), _text(action, brief=group in OF_LIGHTNING)))
    return dict(sorted(groups.items(), key=lambda item: (item[0] != "settings", item[0] == "trainer")))


def _is_group(action: Action) -> bool:
    """Whether an action reads a whole group of settings from a file."""
    return type(action).__name__ == "_ActionConfigLoad"


def _title_of(parser: ArgumentParser, name: str) -> str:
    """What a group of settings is about: the first line of its class."""
    for group in parser._action_groups:
        if any(action.dest == name for action in group._group_actions):
            return group.title or ""
    return ""


def _option(action: Action) -> str:
    if not action.option_strings:
        return _placeholder(action)
    return ", ".join(option for option in action.option_strings if not option.endswith("+"))


def _text(action: Action, brief: bool) -> str:
    """An action's help, or its first sentence, and its default."""
    text = " ".join((action.help or "").split())
    if brief:
        text = re.split(r"(?<=[^.])\. | Default: ", text)[0]
    text = re.sub(r"``|:\w+:`~?([\w.]+)`", r"\1", text)
    text = text.rstrip(".")
    default = action.default
    if default in (None, SUPPRESS) or isinstance(default, list | dict) or "default:" in text:
        return text
    return f"{text} (default: {str(default).lower() if isinstance(default, bool) else default})"


def _entry(name: str, text: str, width: int) -> Iterator[str]:
    """The lines of a setting: its name, then its text beside or below it."""
    lines = textwrap.wrap(text, max(width - NAME_WIDTH - 4, 30)) or [""]
    indent = " " * (NAME_WIDTH + 4)
    if len(name) > NAME_WIDTH:
        yield f"  {name}"
    else:
        yield f"  {name:{NAME_WIDTH}}  {lines.pop(0)}".rstrip()
    yield from (indent + line for line in lines)

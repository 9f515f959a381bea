"""Every setting says what it is for, where `--help-all` and `--model.network.help=CLASS` show it."""

import inspect
import pkgutil
import typing
from argparse import SUPPRESS
from collections.abc import Iterator
from importlib import import_module

import pytest
from jsonargparse import ArgumentParser

import fold
from fold.cli.commands import COMMANDS, OFFERED
from fold.data.corpora import Corpus
from fold.models import Architecture
from fold.training.run_folder import STAMP

# Being rewritten elsewhere; whoever merges that empties this.
ALLOWED = ()
LIGHTNINGS = ("trainer", "checkpoint.")  # settings whose descriptions are Lightning's


class Parsed(Exception):
    """Holds the parser of a command."""


@pytest.fixture
def parsers(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ArgumentParser]]:
    """The parser of each command."""

    def stop(self: ArgumentParser, *_: object, **__: object) -> None:
        raise Parsed(self)

    monkeypatch.setattr(ArgumentParser, "parse_args", stop)
    found = {}
    for name in COMMANDS:
        monkeypatch.setenv(STAMP, "stamp")
        with pytest.raises(Parsed) as caught:
            OFFERED.find(name)([])
        found[name] = caught.value.args[0]
    return found


def fold_classes(kinds: list[type]) -> list[type]:
    """Classes of fold's that are settings of these, or settings of settings."""
    found: dict[type, None] = {}
    queue = list(kinds)
    while queue:
        kind = queue.pop()
        if kind in found or not kind.__module__.startswith("fold"):
            continue
        found[kind] = None
        for name, hint in typing.get_type_hints(kind.__init__).items():
            if name != "return":
                queue += [part for part in parts(hint) if inspect.isclass(part)]
    return list(found)


def parts(hint: object) -> list[object]:
    """What a type hint is made of."""
    return [hint, *(inner for argument in typing.get_args(hint) for inner in parts(argument))]


def choices() -> list[type]:
    """Classes that a setting may name by `class_path`."""
    for module in pkgutil.walk_packages(fold.__path__, "fold."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    callbacks = import_module("fold.training.callbacks")
    schedules = import_module("fold.training.schedules")
    named = [
        kind
        for module in (callbacks, schedules)
        for kind in vars(module).values()
        if inspect.isclass(kind) and kind.__module__.startswith("fold") and not issubclass(kind, Exception)
    ]
    return [*subclasses(Architecture), *subclasses(Corpus), *named]


def subclasses(base: type) -> list[type]:
    found = [kind for kind in base.__subclasses__() if kind.__module__.startswith("fold.")]
    return [*found, *(kind for one in found for kind in subclasses(one))]


def blank(parser: ArgumentParser) -> list[str]:
    """Settings that say nothing of themselves."""
    return [
        action.dest
        for action in parser._actions
        if action.help != SUPPRESS and not (action.help or "").strip() and not action.dest.startswith(LIGHTNINGS)
    ]


def test_every_setting_of_every_command_is_described(parsers: dict[str, ArgumentParser]) -> None:
    groups = {"model.": "FoldableASR"}
    missing = {
        name: [s for s in blank(parser) if not any(s.startswith(g) and owner in ALLOWED for g, owner in groups.items())]
        for name, parser in parsers.items()
    }
    assert not {name: settings for name, settings in missing.items() if settings}


def test_every_setting_of_every_class_is_described() -> None:
    module, data = import_module("fold.training.module").FoldableASR, import_module("fold.data.datamodule").SpeechData
    classes = [kind for kind in fold_classes([module, data, *choices()]) if not inspect.isabstract(kind)]
    names = {kind.__name__ for kind in classes}
    assert {"Commands", "Foundation", "Shape", "Masking", "TriStage", "WeightAverage", "UnitsConfig"} <= names
    missing = {}
    for kind in classes:
        parser = ArgumentParser(exit_on_error=False)
        parser.add_class_arguments(kind, "it")
        own = [f"it.{name}" for name in inspect.signature(kind).parameters]
        missing[kind.__name__] = [setting for setting in blank(parser) if setting in own]
    assert not {name: settings for name, settings in missing.items() if settings and name not in ALLOWED}

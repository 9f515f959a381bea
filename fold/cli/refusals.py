"""What is said of a wrong argument or a wrong setting in a file: one line that names it, and what would be right."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from jsonargparse import ArgumentParser
from omegaconf.errors import OmegaConfBaseException

FORMER = {"seed_everything": "random_seed"}  # names that settings once had, where they are unlike the new ones


def refusal(parser: ArgumentParser, message: str) -> str:
    """The line for a message of jsonargparse's, which may have many. parser: the one that refused."""
    told = " ".join(message.split())
    keys = re.findall(r'Parser key "([\w.]+)"', told)
    where = ".".join(keys)
    if unknown := _unknown_setting(parser, told, where):
        return unknown
    if keys and (wrong := re.search(r"Expected a dot import path string: (\S+)", told)):
        return _no_such_class(parser, keys[0], wrong[1])
    if within := _within_optional(told, where):
        return within
    if keys and (file := re.search(r"Unable to load config ['\"]([^'\"]*)", told)):
        return f"{keys[-1]} is {file[1]}: expected its settings, or a file of them"
    given = re.search(r"(?:Got value|Given value): (.*?)(?: Parser key|$)", told)
    expected = re.findall(r"Expected an? (<class '[\w.]+'>|typing\.Literal\[[^]]+\])", told)
    if keys and given and expected and "NestedArg" not in given[1]:
        return f"{where} is {given[1]}: expected {_or(map(_named, dict.fromkeys(expected)))}"
    if told.startswith("the following arguments are required: "):
        return _missing(parser, told.partition(": ")[2].split(", "))
    return told


def unresolved(error: OmegaConfBaseException) -> str:
    """The line for a reference to another setting, `${experiment}`, that cannot be followed."""
    told, setting = " ".join(str(error).split()), error.full_key or "settings"
    if "data.corpus.class_path" in told:  # which the tags of a run name
        return "data.corpus is missing: no corpus to train on; add --config=commands, or that of another corpus"
    if missing := re.search(r"Interpolation key '([^']*)' not found", told):
        return f"{setting}: refers to ${{{missing[1]}}}, and no such setting is given"
    if section := re.search(r"(?:node `([\w.]+)` is not a container|Index '([\w.]+)' \(str\) is not an int)", told):
        return f"{setting}: refers to a setting of {section[1] or 'a section'}, which holds no settings"
    return f"{setting}: a reference in it cannot be read ({told.split(' full_key:')[0]})"


def _unknown_setting(parser: ArgumentParser, told: str, where: str) -> str | None:
    """The line if a setting is unknown. where: the setting that holds it, or nothing."""
    if found := re.match(r"unrecognized arguments: -*([^\s=]+)", told):
        return _unknown(parser, found[1], _settings(parser))
    if found := re.search(r"Group '([\w.]+)' does not accept option '([\w.+]+)'", told):
        return _unknown(parser, f"{found[1]}.{found[2]}", _settings(parser))
    found = re.search(r"Option '([^']+)' is not accepted", told)
    if not found:
        return None
    if not where:
        return _unknown(parser, found[1], _settings(parser))
    owner = _owner(told[: found.start()]) or _owner(told[found.end() :])
    if owner is None:
        return _unknown(parser, f"{where}.{found[1]}", _settings(parser))
    there = [f"{where}.{name}" for name in _parameters(owner)]
    lister = f"{parser.prog} --{where}.help={owner}" if f"{where}.help" in _options(parser) else None
    return _unknown(parser, f"{where}.{found[1]}", there, lister)


def _within_optional(told: str, where: str) -> str | None:
    """The line for a wrong or missing setting of what may also be null: jsonargparse tells of all that it has tried.
    where: the setting, as far as the message names it."""
    if "Union subtypes" not in told:
        return None
    tried = told.rpartition("Problem with given class_path")[2].partition(" - Expected")[0]
    if missing := re.search(r"the following arguments are required: (\w+)", tried):
        return f"{where}.{missing[1]} is missing: it has no default"
    kinds = r"(<class '[\w.]+'>|typing\.Literal\[[^]]+\]|tuple with \d+ elements)"
    wrong = re.search(rf"Expected an? {kinds}\. Got value: (.*)", tried)
    return f"{where} is {wrong[2].rstrip()}: expected {_named(wrong[1])}" if wrong else None


def _owner(told: str) -> str | None:
    """The class whose setting is meant, if a message names one."""
    named = re.findall(r"(?:given class_path |class_path=)'([\w.]+)'", told)
    return named[-1] if named else None


def _parameters(path: str) -> list[str]:
    """The settings of the class at a path that jsonargparse has imported before."""
    module, _, name = path.rpartition(".")
    return list(inspect.signature(getattr(importlib.import_module(module), name)).parameters)


def _unknown(parser: ArgumentParser, name: str, there: Sequence[str], lister: str | None = None) -> str:
    """Says that there is no such setting, and what may have been meant. lister: a command that shows what there is."""
    close = _close(name, there)
    hint = f" did you mean {close}?" if close else ""
    return f"there is no setting '{name}';{hint} `{lister or _lister(parser)}` lists what there is"


def _lister(parser: ArgumentParser) -> str:
    options = _options(parser)
    return f"{parser.prog} {'--help-all' if 'help-all' in options else '--help'}"


def _close(name: str, there: Sequence[str]) -> str | None:
    if FORMER.get(name) in there:
        return FORMER[name]
    parent, _, last = name.rpartition(".")
    siblings = {other.rpartition(".")[2]: other for other in there if other.rpartition(".")[0] == parent}
    close = [other for other in siblings if other.endswith(f"_{last}")] or get_close_matches(last, siblings, n=1)
    if close:
        return siblings[close[0]]
    close = get_close_matches(name, [other for other in there if other not in siblings.values()], n=1, cutoff=0.7)
    return close[0] if close else None


def _no_such_class(parser: ArgumentParser, key: str, name: str) -> str:
    """Says that a class is unknown, and which there are."""
    known = _subclasses(parser, key)
    close = get_close_matches(name, known, n=1)
    hint = f" did you mean {close[0]}?" if close else ""
    there = f"there are {', '.join(known)}, or give the path of a class" if known else "expected the path of a class"
    return f"{key}: no class is called '{name}';{hint} {there} (package.module.Class)"


def _subclasses(parser: ArgumentParser, key: str) -> list[str]:
    """Names of the classes that a setting can take, as far as they are loaded and public."""
    for action in parser._actions:
        base = getattr(action, "_typehint", None)
        if action.dest == key and inspect.isclass(base):
            found, queue = {}, [base]
            while queue:
                kind = queue.pop()
                queue += kind.__subclasses__()
                if not inspect.isabstract(kind) and not kind.__name__.startswith("_"):
                    found[kind.__name__] = kind
            return sorted(found)
    return []


def _missing(parser: ArgumentParser, names: list[str]) -> str:
    """Names what must be given, and where it commonly comes from."""
    needed = ", ".join(names)
    files = "config" in _options(parser) and [
        f"--config {kind}" for kind, part in (("EXPERIMENT", "model."), ("CORPUS", "data.")) if part in needed
    ]
    hint = f": give {' '.join(files)} (a name such as conformer_fold or commands, or a YAML file)" if files else ""
    return f"missing: {needed}{hint}"


def _options(parser: ArgumentParser) -> list[str]:
    return [option.lstrip("-") for action in parser._actions for option in action.option_strings]


def _settings(parser: ArgumentParser) -> list[str]:
    return [name for name in _options(parser) if not name.endswith(("+", ".help"))]


def _named(kind: str) -> str:
    """A type as people write it: `<class 'int'>` is int, a choice its values."""
    if kind.startswith("typing.Literal"):
        return kind[len("typing.Literal[") : -1].replace("'", "").replace(", ", " or ")
    if kind.startswith("tuple with"):
        return kind.replace("tuple with", "a list of")
    name = kind[len("<class '") : -2].rpartition(".")[2]
    return {"NoneType": "null", "str": "text", "tuple": "list"}.get(name, name)


def _or(names: Iterable[str]) -> str:
    return " or ".join(names)

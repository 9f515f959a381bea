"""Names of classes in settings and checkpoints: each leads back to its class, and a file that names one runs nothing.

A registry holds the classes of one kind: those of a module of fold, and those that installed packages offer by entry
points. `pack` and `unpack` turn settings (frozen dataclasses) into plain values and back by it.
"""

from __future__ import annotations

import dataclasses
import importlib
import sys
import types
import typing
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from fold.errors import FoldError

Kind = TypeVar("Kind")
KIND = "kind"  # beside packed settings: the name of their class

_registries: list[Registry[Any]] = []


class Registry(Generic[Kind]):
    """The classes of one kind.

    base: what all of them are subclasses of; noun: what messages call one;
    group: of the entry points by which installed packages offer theirs; home: the module that exports fold's own.
    """

    def __init__(self, base: type[Kind], noun: str, group: str, home: str) -> None:
        self.base, self.noun, self.group, self.home = base, noun, group, home
        _registries.append(self)

    def name_of(self, kind: type[Kind]) -> str:
        """The name that a checkpoint keeps of a class: the short one if fold or a package offers it, else
        `module.Class`."""
        if self._own(kind.__name__) is kind:
            return kind.__name__
        path = f"{kind.__module__}.{kind.__qualname__}"
        return next((entry.name for entry in self.offered() if _dotted(entry) == path), path)

    def find(self, name: str) -> type[Kind]:
        """The class of that name.

        Only packages that are installed and offer it are imported for it, never a module that the name itself gives.
        Raises FoldError if no class of that name is at hand.
        """
        found = self._own(name) or self._of_a_package(name) or _of_a_loaded_module(name)
        if isinstance(found, type) and issubclass(found, self.base):
            return found
        module = name.rpartition(".")[0]
        raise FoldError(
            f"no {self.noun} {name}: neither {self.home} nor an installed package's entry points ({self.group}) offer "
            "it" + (f", nor is a module {module} that has it imported" if module else "")
        )

    def offered(self) -> list[EntryPoint]:
        """What installed packages offer."""
        return list(entry_points(group=self.group))

    def _own(self, name: str) -> object:
        return getattr(importlib.import_module(self.home), name, None)

    def _of_a_package(self, name: str) -> object:
        return next((_load(entry) for entry in self.offered() if name in (entry.name, _dotted(entry))), None)


def import_offered() -> None:
    """Imports the classes that installed packages offer, so that settings can name them as they name fold's own.

    Raises FoldError for an entry point that cannot be loaded.
    """
    installed = entry_points()  # once for all groups: it reads the metadata of every installed package
    for registry in _registries:
        for entry in installed.select(group=registry.group):
            _load(entry)


def _load(entry: EntryPoint) -> object:
    try:
        return entry.load()
    except Exception as error:  # whatever a stranger's module does
        where = f"{entry.dist.name}: " if entry.dist else ""
        raise FoldError(f"{where}the entry point {entry.name} = {entry.value} cannot be loaded: {error}") from error


def _dotted(entry: EntryPoint) -> str:
    return f"{entry.module}.{entry.attr}"


def _of_a_loaded_module(name: str) -> object:
    module, _, kind = name.rpartition(".")
    return getattr(sys.modules.get(module), kind, None)


def registry_of(kind: object) -> Registry[Any] | None:
    """The registry of a class, if there is one."""
    if not isinstance(kind, type):
        return None
    return next((registry for registry in _registries if issubclass(kind, registry.base)), None)


def pack(value: Any) -> Any:
    """Settings as plain values, which loading with `weights_only=True` accepts: dataclasses become dictionaries, with
    the name of their class where a registry has it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        registry = registry_of(type(value))
        named = {KIND: registry.name_of(type(value))} if registry else {}
        return named | pack_fields(value)
    if isinstance(value, Mapping):
        return {name: pack(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(pack(entry) for entry in value)
    return value


def pack_fields(settings: Any) -> dict[str, Any]:
    """The fields of a dataclass, packed, without the name of its class."""
    return {field.name: pack(getattr(settings, field.name)) for field in dataclasses.fields(settings)}


def unpack(hint: Any, plain: Any) -> Any:
    """What `pack` made plain; hint: the type that it has as a setting.

    Raises FoldError if a class is not at hand, and TypeError if its settings are others.
    """
    if isinstance(plain, Mapping):
        if kind := _settings_class(hint, plain):
            return unpack_fields(kind, plain)
        parts = _parts(hint, dict)
        of_values = parts[1] if parts else Any
        return {name: unpack(of_values, entry) for name, entry in plain.items()}
    if isinstance(plain, list) and _parts(hint, tuple):
        return tuple(plain)
    return plain


def unpack_fields(kind: type[Kind], plain: Mapping[str, Any]) -> Kind:
    """An instance of a dataclass from its packed fields; those that are missing have their defaults."""
    hints = typing.get_type_hints(kind)
    return kind(**{name: unpack(hints.get(name), entry) for name, entry in plain.items() if name != KIND})


def _settings_class(hint: Any, plain: Mapping[str, Any]) -> type[Any] | None:
    """The dataclass whose fields `plain` has, if it is one of the types of a hint."""
    for option in _options(hint):
        registry = registry_of(option)
        if registry and KIND in plain:
            return registry.find(plain[KIND])
        if isinstance(option, type) and dataclasses.is_dataclass(option):
            return option
    return None


def _options(hint: Any) -> tuple[Any, ...]:
    """The types of a union, or the one type."""
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def _parts(hint: Any, container: type) -> tuple[Any, ...]:
    """The type arguments of a container among the types of a hint."""
    return next((typing.get_args(one) for one in _options(hint) if typing.get_origin(one) is container), ())

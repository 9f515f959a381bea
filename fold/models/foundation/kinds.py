"""Whether values that files hold are of the kind that a setting has."""

from __future__ import annotations

from types import UnionType
from typing import Literal, Union, get_args, get_origin

from fold.errors import FoldError


def check_value(name: str, value: object, kind: object, least: int = 1) -> None:
    """Raises FoldError unless a value is of a kind: a type of plain values, as dataclasses of settings name it.

    least: of whole numbers; other numbers are 0 or more.
    """
    if not _is_of(value, kind, least):
        raise FoldError(f"{name} is {value!r}: expected {_told(kind, least)}")


def _is_of(value: object, kind: object, least: int) -> bool:
    of, parts = get_origin(kind), get_args(kind)
    if of in (Union, UnionType):
        return any(_is_of(value, part, least) for part in parts)
    if of is Literal:
        return value in parts
    if of is tuple:
        return isinstance(value, (list, tuple)) and all(_is_of(item, parts[0], least) for item in value)
    if kind is int:
        return type(value) is int and value >= least
    if kind is float:
        return type(value) in (int, float) and value >= 0  # type: ignore[operator]  # a number
    assert isinstance(kind, type)
    return isinstance(value, kind)


def _told(kind: object, least: int) -> str:
    of, parts = get_origin(kind), get_args(kind)
    if of in (Union, UnionType):
        return " or ".join(_told(part, least) for part in parts)
    if of is Literal:
        return " or ".join(map(repr, parts))
    if of is tuple:
        return f"a list, each {_told(parts[0], least)}"
    names = {
        int: f"a whole number, {least} or more",
        float: "a number, 0 or more",
        bool: "true or false",
        str: "a name",
    }
    return names.get(kind, "null")  # type: ignore[call-overload, no-any-return]  # any other type is that of None

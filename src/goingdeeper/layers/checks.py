"""What the fields of a record may hold: values of their declared types, numbers within limits."""

from __future__ import annotations

import dataclasses
import math
from functools import cache
from types import UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from goingdeeper.errors import DescriptionError

LARGEST: Final = 2**31 - 1
"""Of any count or size. Nothing beyond it could be built, and below it no count leaves a float's range."""


def typed(record: object, *but: str) -> None:
    """Refuses fields, `but` some, whose value is not of the declared type. Raises DescriptionError."""
    kind: Any = type(record)
    values = vars(record)
    for name, declared, plain in _fields(kind, but):
        value = values[name]
        if type(value) not in plain and not fits(value, declared):
            raise DescriptionError(
                f"{kind.__name__}: {name} is {shown(value)}; {words(declared)} is expected"
            )


def within(record: object, least: float, *names: str, most: float = LARGEST) -> None:
    """Refuses numbers that are out of range, those in tuples too. Raises DescriptionError."""
    for name in names:
        value = getattr(record, name)
        for number in value if isinstance(value, tuple) else (value,):
            if not isinstance(number, str | None) and not least <= number <= most:
                limit = f"at least {least}" if number < least else f"at most {most}"
                text = f"{name} is {shown(number)}; it must be {limit}"
                raise DescriptionError(f"{type(record).__name__}: {text}")


def fits(value: object, declared: Any) -> bool:
    """Whether a value is of a declared type. A bool is no number, and a number is finite."""
    origin, inner = get_origin(declared), get_args(declared)
    if origin in (Union, UnionType):
        return any(fits(value, one) for one in inner)
    if origin is Literal:
        return isinstance(value, str) and value in inner
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        inner = inner[:1] * len(value) if inner[1:] == (...,) else inner
        return len(value) == len(inner) and all(map(fits, value, inner))
    if declared is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if declared is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, declared)


def words(declared: Any) -> str:
    """A declared type as a message names it: `int or (int, int)`."""
    origin, inner = get_origin(declared), get_args(declared)
    if origin in (Union, UnionType):
        return " or ".join(map(words, inner))
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if origin is tuple:
        return f"({', '.join('...' if one is ... else words(one) for one in inner)})"
    if declared is type(None):
        return "None"
    return str(declared.__name__) + ("(...)" if dataclasses.is_dataclass(declared) else "")


def shown(value: object) -> str:
    """A value as a message shows it: the start of its text, on one line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 40 else f"{text[:37]}..."


@cache
def _fields(kind: Any, but: tuple[str, ...]) -> tuple[tuple[str, Any, frozenset[type]], ...]:
    """A record's fields with their declared types, and the types all of whose values fit.

    The latter settle nearly every field at once: descriptions are to stay instant.
    """
    types = get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind) if field.name not in but]
    return tuple((name, types[name], _plain(types[name])) for name in names)


def _plain(declared: Any) -> frozenset[type]:
    origin = get_origin(declared)
    if origin in (Union, UnionType):
        return frozenset().union(*map(_plain, get_args(declared)))
    if declared is float or origin is not None:
        return frozenset()  # it depends on the value
    return frozenset((declared,))

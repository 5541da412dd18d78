"""What the fields of a record may hold: values of their declared types, numbers within limits."""

from __future__ import annotations

import dataclasses
import math
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from goingdeeper.errors import DescriptionError


def typed(record: object) -> None:
    """Refuses fields whose value is not of the declared type. Raises DescriptionError."""
    kind: Any = type(record)
    for name, declared, plain in _fields(kind):
        value = getattr(record, name)
        if type(value) not in plain and not fits(value, declared):
            raise DescriptionError(
                f"{kind.__name__}: {name} is {shown(value)}; {words(declared)} is expected"
            )


def within(record: object, least: float, *names: str, most: float = math.inf) -> None:
    """Refuses numbers that are out of range, those in tuples too. Raises DescriptionError."""
    for name in names:
        value = getattr(record, name)
        for number in value if isinstance(value, tuple) else (value,):
            if not isinstance(number, str | None) and not least <= number <= most:
                limit = f"at least {least}" if number < least else f"at most {most}"
                raise DescriptionError(f"{type(record).__name__}: {name} is {number}; it must be {limit}")


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
    return f"{' '.join(repr(value).split()):.40}"


@cache
def _fields(kind: Any) -> tuple[tuple[str, Any, frozenset[type]], ...]:
    """A record's fields with their declared types, and the types all of whose values fit.

    The latter settle nearly every field at once: descriptions are to stay instant.
    """
    types = get_type_hints(kind)
    return tuple((one.name, types[one.name], _plain(types[one.name])) for one in dataclasses.fields(kind))


def _plain(declared: Any) -> frozenset[type]:
    origin = get_origin(declared)
    if origin in (Union, UnionType):
        return frozenset().union(*map(_plain, get_args(declared)))
    if declared is float or origin is not None:
        return frozenset()  # it depends on the value
    return frozenset((declared,))

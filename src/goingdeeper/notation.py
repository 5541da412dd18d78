"""A description as JSON, and back: the same records under a closed table of kinds."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from goingdeeper.errors import DescriptionError, UsageError
from goingdeeper.layers import (
    CONTAINERS,
    LEAVES,
    BatchNorm,
    Draw,
    Initialisation,
    Maxout,
    Named,
    Network,
    PReLU,
    ReLU,
    Sigmoid,
    Start,
    Starts,
)
from goingdeeper.layers.checks import shown

_PART_KINDS = (BatchNorm, ReLU, PReLU, Maxout, Sigmoid, Draw, Start, Initialisation)
_LAYERS: dict[str, Any] = {kind.__name__: kind for kind in (*LEAVES, *CONTAINERS)}
_PARTS: dict[str, Any] = {kind.__name__: kind for kind in _PART_KINDS}
LEVELS = 200
"""Objects and lists within each other; a network of the catalogue has about twenty."""

_NAME = r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,79}"
"""Runs, and files about them, are called after their network."""

_NAMED = ("layers", "branches", "body", "heads", "apart")


def to_json(network: Network) -> str:
    """The description as one line of JSON; fields at their defaults are left out."""
    return json.dumps(to_data(network))


def from_json(text: str) -> Network:
    """The network that `to_json` wrote. Raises DescriptionError, naming the place, for anything else."""
    try:
        data = json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError) as problem:
        raise DescriptionError(f"not a network description: {problem}") from None
    return from_data(data)


def from_file(file: Path) -> Network:
    """The network that a file has as `to_json` writes it, whose name can be that of a file or folder.

    Raises UsageError where it cannot be read, DescriptionError, naming the file and the place in it, for
    anything else.
    """
    if not file.is_file():
        raise UsageError(f"there is no file {file}; goingdeeper.to_json writes what it is to hold")
    try:
        found = from_json(file.read_text("utf-8"))
    except OSError as problem:
        raise UsageError(f"{file} cannot be read: {problem.strerror or problem}") from None
    except UnicodeDecodeError:
        raise DescriptionError(f"{file}: not a network description, which is text in UTF-8") from None
    except DescriptionError as problem:
        raise DescriptionError(f"{file}: {problem}") from None
    if not re.fullmatch(_NAME, found.name):
        remedy = "what it is called is also called in files; take letters, digits and .+-_, 80 at most"
        raise DescriptionError(f"{file}: the name is {shown(found.name)}; {remedy}")
    return found


def to_data(network: Network) -> dict[str, Any]:
    """The description as plain dicts, lists, strings and numbers."""
    return {
        "name": network.name,
        "input": list(network.input),
        "classes": network.classes,
        "init": _record(network.init),
        "layers": _named(network.layers),
        "heads": _named(network.heads),
    }


def from_data(data: Any) -> Network:
    """The network that `to_data` gave as plain data. Raises DescriptionError, naming the place."""
    if not isinstance(data, dict):
        raise DescriptionError("not a network description: an object with 'name' and 'layers' is expected")
    if _deeper_than(LEVELS, data):
        raise DescriptionError("not a network description: it is nested too deeply")
    return Network(**_fields(Network, data, ""))


def _deeper_than(levels: int, data: Any) -> bool:
    """Told level by level: how deep Python can recurse is what other packages set it to."""
    level = [data]
    for _ in range(levels):
        inside = [each.values() if isinstance(each, dict) else each for each in level]
        level = [value for values in inside for value in values if isinstance(value, dict | list | tuple)]
        if not level:
            return False
    return True


def _named(pairs: Named | Starts) -> dict[str, Any]:
    return {name: _record(layer) for name, layer in pairs}


def _record(record: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if field.name in _NAMED:
            if value:
                fields[field.name] = _named(value)
        elif value == field.default:
            continue
        elif dataclasses.is_dataclass(value):
            fields[field.name] = _record(value)
        else:
            fields[field.name] = list(value) if isinstance(value, tuple) else value
    return {"kind": type(record).__name__, **fields}


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise DescriptionError(f"not a network description: '{twice}' is there twice in one object")
    return found


def _names(data: Any, kinds: dict[str, Any], place: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise DescriptionError(f"{place}: layers by name are expected, not {data!r:.40}")
    return {name: _build(inner, kinds, f"{place}.{name}") for name, inner in data.items()}


def _build(data: Any, kinds: dict[str, Any], place: str) -> Any:
    kind = data.get("kind") if isinstance(data, dict) else data
    if not isinstance(data, dict) or not isinstance(kind, str) or kind not in kinds:
        raise DescriptionError(f"{place}: {kind!r:.40} is no kind of layer; the kinds are {', '.join(kinds)}")
    values = _fields(kinds[kind], {name: value for name, value in data.items() if name != "kind"}, place)
    try:
        return kinds[kind](**values)
    except DescriptionError as problem:
        raise DescriptionError(f"{place}: {problem}") from None


def _fields(kind: Any, data: dict[str, Any], place: str) -> dict[str, Any]:
    """A record's arguments, those that have to be there; the record checks what they hold."""
    known, required = _signature(kind)
    record = f"{place}: {kind.__name__}" if place else "a network description"
    for name in (*data, *required):
        if name not in known:
            raise DescriptionError(f"{record} has no field '{name}'; it has {', '.join(known)}")
        if name not in data:
            raise DescriptionError(f"{record} needs the field '{name}'")
    values: dict[str, Any] = {}
    for name, value in data.items():
        inner = f"{place}.{name}" if place else name
        if name in _NAMED:
            values[name] = _names(value, _PARTS if name == "apart" else _LAYERS, place or name)
        elif isinstance(value, dict):
            values[name] = _build(value, _LAYERS | _PARTS, inner)
        else:
            values[name] = tuple(value) if isinstance(value, list) else value
    return values


@cache
def _signature(kind: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of a record's fields, and of those that have no default."""
    parameters = inspect.signature(kind).parameters.values()
    return tuple(p.name for p in parameters), tuple(p.name for p in parameters if p.default is p.empty)

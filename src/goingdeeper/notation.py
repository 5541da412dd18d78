"""A description as JSON, and back: the same records under a closed table of kinds."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from goingdeeper import layers
from goingdeeper.errors import DescriptionError
from goingdeeper.layers import CONTAINERS, LEAVES, Initialisation, Layer, Named, Network

_KINDS: dict[str, Any] = {kind.__name__: kind for kind in (*LEAVES, *CONTAINERS)}
_PARTS: dict[str, Any] = {"BatchNorm": layers.BatchNorm, "Draw": layers.Draw}
_NAMED = ("layers", "branches", "body", "heads")


def to_json(network: Network) -> str:
    """The description as one line of JSON; fields at their defaults are left out."""
    return json.dumps(to_data(network))


def from_json(text: str) -> Network:
    """The network that `to_json` wrote. Raises DescriptionError, naming the place, for anything else."""
    try:
        data = json.loads(text)
    except ValueError as problem:
        raise DescriptionError(f"not a network description: {problem}") from None
    return from_data(data)


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
    """The network that `to_data` gave as plain data."""
    if not isinstance(data, dict) or not isinstance(data.get("layers"), dict):
        raise DescriptionError("not a network description: an object with 'name' and 'layers' is expected")
    unknown = set(data) - {field.name for field in dataclasses.fields(Network)}
    if unknown:
        raise DescriptionError(f"a network description has no field '{sorted(unknown)[0]}'")
    try:
        return Network(
            str(data["name"]),
            _names(data["layers"], "layers"),
            _names(data.get("heads", {}), "heads"),
            tuple(int(size) for size in data["input"]),  # type: ignore[arg-type]  # Network checks the length
            int(data["classes"]),
            _init(data.get("init", {})),
        )
    except (KeyError, TypeError, ValueError) as problem:
        raise DescriptionError(f"not a network description: {problem!r}") from None


def _named(pairs: Named) -> dict[str, Any]:
    return {name: _record(layer) for name, layer in pairs}


def _record(record: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if field.name in _NAMED:
            fields[field.name] = _named(value)
        elif dataclasses.is_dataclass(value):
            fields[field.name] = _record(value)
        elif value != field.default:
            fields[field.name] = list(value) if isinstance(value, tuple) else value
    return {"kind": type(record).__name__, **fields}


def _names(data: Any, place: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise DescriptionError(f"{place}: named layers are expected, not {data!r}")
    return {name: _layer(inner, f"{place}.{name}") for name, inner in data.items()}


def _layer(data: Any, place: str) -> Layer:
    kind = data.get("kind") if isinstance(data, dict) else None
    if kind not in _KINDS:
        raise DescriptionError(f"{place}: '{kind}' is not a kind of layer; the kinds are {', '.join(_KINDS)}")
    layer: Layer = _build(_KINDS[kind], data, place)
    return layer


def _build(kind: Any, data: dict[str, Any], place: str) -> Any:
    known = {field.name for field in dataclasses.fields(kind)}
    values: dict[str, Any] = {}
    for name, value in data.items():
        if name == "kind":
            continue
        if name not in known:
            raise DescriptionError(f"{place}: {kind.__name__} has no field '{name}'")
        if name in _NAMED:
            values[name] = _names(value, place)
        elif isinstance(value, dict):
            part = value.get("kind")
            inner = f"{place}.{name}"
            values[name] = _build(_PARTS[part], value, inner) if part in _PARTS else _layer(value, inner)
        else:
            values[name] = tuple(value) if isinstance(value, list) else value
    try:
        return kind(**values)
    except TypeError as problem:
        raise DescriptionError(f"{place}: {problem}") from None


def _init(data: dict[str, Any]) -> Initialisation:
    init: Initialisation = _build(Initialisation, data, "init")
    return init

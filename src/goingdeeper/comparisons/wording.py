"""Two layers in words between which every difference shows."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, Final

from goingdeeper.errors import DescriptionError
from goingdeeper.layers import LEAVES, Layer, Leaf
from goingdeeper.shapes import Shape
from goingdeeper.tables.describe import describe_fully
from goingdeeper.tables.table import shown

_BOOLS: Final = {
    "count_padding": ("padding counted", "padding not counted"),
    "scale": ("gamma", "no gamma"),
}
_NAMES: Final = {"eps": "norm eps", "momentum": "norm momentum", "side": "zeros"}


def apart(a: Layer, b: Layer) -> tuple[str, str]:
    """Each layer in words; fields that differ and that the usual words leave out are named."""
    words_a, words_b = [describe_fully(a)], [describe_fully(b)]
    if isinstance(a, LEAVES) and type(a) is type(b):
        for field in fields(a):
            one, other = getattr(a, field.name), getattr(b, field.name)
            if one != other and not _said(a, field.name, other):
                words_a += _named(field.name, one, other)
                words_b += _named(field.name, other, one)
    return ", ".join(words_a), ", ".join(words_b)


def given(a: Shape, b: Shape) -> tuple[str, str]:
    """What goes into two layers, as far as it differs: `192 in`, or `28x28x192 in` where the map does."""
    if a == b:
        return "", ""
    if a[1:] == b[1:]:
        return f"{a[0]} in", f"{b[0]} in"
    return f"{shown(a)} in", f"{shown(b)} in"


def _said(layer: Leaf, name: str, value: Any) -> bool:
    """Whether the layer's words would be others if one field had another value."""
    fields_of_layer: Any = {name: value}
    try:
        return describe_fully(replace(layer, **fields_of_layer)) != describe_fully(layer)
    except DescriptionError:
        return True  # a window and a padding that differ together


def _named(name: str, value: Any, other: Any) -> list[str]:
    """A field's value in words; of a record within the layer only what differs from the `other`."""
    if is_dataclass(value) and type(value) is type(other):
        return [
            word
            for field in fields(value)
            if getattr(value, field.name) != getattr(other, field.name)
            for word in _named(field.name, getattr(value, field.name), getattr(other, field.name))
        ]
    if isinstance(value, bool):
        yes, no = _BOOLS.get(name, (name, f"no {name}"))
        return [yes if value else no]
    shown_value = f"{value:g}" if isinstance(value, float) else value
    return [f"{_NAMES.get(name, name)} {shown_value}"]

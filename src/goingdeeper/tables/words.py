"""Words for parts of layers, and numbers with a unit."""

from __future__ import annotations

from collections.abc import Mapping

from goingdeeper.layers import Activation, Bias, Conv, Layer, Linear, Maxout, PReLU, ReLU, Sigmoid, Slice
from goingdeeper.trace import Step


def activation(act: Activation | None) -> str:
    """`ReLU`, `PReLU`, `PReLU for the layer`, `maxout of 2`, `sigmoid`; empty where there is none."""
    match act:
        case ReLU():
            return "ReLU"
        case PReLU():
            return "PReLU for the layer" if act.shared else "PReLU"
        case Maxout():
            return f"maxout of {act.pieces}"
        case Sigmoid():
            return "sigmoid"
        case None:
            return ""


def extras(layer: Layer) -> str:
    """What comes with a layer: its bias or batch norm, and its activation."""
    if isinstance(layer, Slice | Bias):
        return activation(layer.act)
    if not isinstance(layer, Conv | Linear):
        return ""
    norm = "batch norm" if isinstance(layer, Conv) and layer.norm else ""
    return ", ".join(filter(None, ("bias" if layer.bias else "", norm, activation(layer.act))))


def reads(address: str, steps: Mapping[str, Step]) -> str:
    """What a head is given, where its name does not say it: `reads conv1 before its ReLU`, `reads 4a.5x5`."""
    if address in steps:
        return f"reads {address}" if "." in address else ""
    unit, _, part = address.rpartition(".")
    layer = steps[unit].layer
    norm = isinstance(layer, Conv) and part == "conv" and layer.norm
    following = "batch norm" if norm else activation(layer.act) if isinstance(layer, Conv) else ""
    return f"reads {unit}" + (f" before its {following}" if following and part != "act" else "")


def amount(number: int) -> str:
    """Three digits and a unit: `7.00 M`."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size * 0.9995:
            value = number / size
            return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {unit}"
    return str(number)


def size(count: int) -> str:
    """Three digits and a unit of bytes: `12.8 MB`; k, M, G are 10^3, 10^6, 10^9."""
    shown = amount(count)
    return f"{shown}B" if shown[-1].isalpha() else f"{shown} B"

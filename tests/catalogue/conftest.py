"""What a description costs at an address, and how its layers start, for the tables of the fact sheets."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from math import prod
from typing import NamedTuple, TypeAlias

import pytest

from goingdeeper import catalogue
from goingdeeper.costs.counts import total, within
from goingdeeper.layers import CLASSES, Conv, Linear, Network, pair, pieces
from goingdeeper.shapes import Shape
from goingdeeper.trace import trace


class Row(NamedTuple):
    shape: Shape
    weights: int
    biases: int
    norm: int
    slopes: int
    macs: int


class Begin(NamedTuple):
    """The distribution of initial weights, its variance before a cut, and the initial bias."""

    distribution: str
    variance: float
    bias: float | None


Measure: TypeAlias = Callable[[str | Network, str], Row]
Begins: TypeAlias = Callable[[str], dict[str, Begin]]


@pytest.fixture(scope="session")
def measure() -> Measure:
    """(network or id, address) -> output shape and counts of everything at or below the address."""

    def measured(network: str | Network, address: str) -> Row:
        steps = trace(catalogue.described(network))
        [shape] = [step.shape_out for step in steps if step.path == address]
        found = total(step for step in steps if within(step.path, address))
        return Row(shape, found.weights, found.biases, found.norm, found.slopes, found.macs)

    return measured


@pytest.fixture(scope="session")
def begins() -> Begins:
    """id -> how each convolution and fully connected layer starts, heads' too, by address."""

    def beginnings(id: str) -> dict[str, Begin]:
        network = catalogue.network(id)
        found = {}
        for step in trace(network):
            layer = step.layer
            if not isinstance(layer, Conv | Linear):
                continue
            if isinstance(layer, Conv):
                rule, width, area = network.init.conv, layer.filters, prod(pair(layer.kernel))
                into = area * step.shape_in[0] // layer.groups
            else:
                rule, width, area = network.init.linear, layer.features, 1
                into = prod(step.shape_in)
            outof = area * step.shape_out[0] * pieces(layer)
            own = [start for pattern, start in network.init.apart if fnmatchcase(step.path, pattern)][:1]
            draw = next((start.weights for start in own if start.weights), rule)
            bias = network.init.classifier_bias if width == CLASSES else network.init.bias
            bias = next((start.bias for start in own if start.bias is not None), bias)
            fan = {"in": into, "out": outof, "average": (into + outof) / 2, "one": 1}[draw.fan]
            found[step.path] = Begin(draw.distribution, draw.gain / fan, bias if layer.bias else None)
        return found

    return beginnings

"""Pieces of networks, counted: a few layers as a network of their own."""

from __future__ import annotations

from collections.abc import Mapping

from goingdeeper.costs.counts import Counts, total
from goingdeeper.layers import CLASSES, GlobalAvgPool, Layer, Linear, Network
from goingdeeper.shapes import Shape
from goingdeeper.trace import Step, trace


def piece(layers: Mapping[str, Layer], shape: tuple[int, int, int]) -> Network:
    """Layers that are given a map, (channels, height, width), with what makes a network of them."""
    return Network("piece", {**layers, "end_pool": GlobalAvgPool(), "end_fc": Linear(CLASSES)}, (), shape)


def steps(layers: Mapping[str, Layer], shape: tuple[int, int, int]) -> tuple[Step, ...]:
    """The steps of layers that are given a map."""
    return tuple(step for step in trace(piece(layers, shape)) if not step.path.startswith("end_"))


def counted(layers: Mapping[str, Layer], shape: tuple[int, int, int]) -> Counts:
    """Parameters and multiply-adds of layers that are given a map."""
    return total(steps(layers, shape))


def part_of(network: Network, address: str) -> tuple[Step, ...]:
    """The steps at and below an address."""
    return tuple(step for step in trace(network) if f"{step.path}.".startswith(f"{address}."))


def shape_in(network: Network, address: str) -> Shape:
    """What the layer at an address is given."""
    return next(step.shape_in for step in trace(network) if step.path == address)


def shape_out(network: Network, address: str) -> Shape:
    """What the layer at an address gives."""
    return next(step.shape_out for step in trace(network) if step.path == address)

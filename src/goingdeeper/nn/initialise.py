"""Initial weights by the rule of the description, from a generator of their own."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from goingdeeper.layers import CLASSES, Conv, Draw, Linear, Network
from goingdeeper.trace import trace


def initialise(net: nn.Module, network: Network, generator: torch.Generator) -> None:
    """Fills every parameter and buffer of a built network, in the order of the description.

    Weights are drawn on the CPU, so that one seed gives the same network on every device.
    """
    rule = network.init
    for step in trace(network):
        layer = step.layer
        if not isinstance(layer, Conv | Linear):
            continue
        unit = net.get_submodule(step.path)
        if isinstance(layer, Conv):
            inner, draw, width = unit.get_submodule("conv"), rule.conv, layer.filters
            if layer.norm:
                _reset_norm(unit.get_submodule("norm"))
        else:
            inner, draw, width = unit, rule.linear, layer.features
        assert isinstance(inner, nn.Conv2d | nn.Linear)
        _fill(inner.weight, draw, generator)
        if inner.bias is not None:
            nn.init.constant_(inner.bias, rule.classifier_bias if width == CLASSES else rule.bias)


@torch.no_grad()
def _fill(weight: Tensor, draw: Draw, generator: torch.Generator) -> None:
    area = math.prod(weight.shape[2:])
    fan_in, fan_out = weight.shape[1] * area, weight.shape[0] * area
    fan = {"in": fan_in, "out": fan_out, "average": (fan_in + fan_out) / 2}[draw.fan]
    std = math.sqrt(draw.gain / fan)
    values = torch.empty(weight.shape)
    if draw.distribution == "normal":
        values.normal_(0.0, std, generator=generator)
    else:
        bound = math.sqrt(3.0) * std
        values.uniform_(-bound, bound, generator=generator)
    weight.copy_(values)


def _reset_norm(norm: nn.Module) -> None:
    assert isinstance(norm, nn.BatchNorm2d)
    norm.reset_running_stats()
    nn.init.zeros_(norm.bias)
    if norm.weight is not None:  # a record without scale has no gamma
        nn.init.ones_(norm.weight)

"""Initial weights by the rule of the description, from a generator of their own."""

from __future__ import annotations

import math
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from goingdeeper.layers import CLASSES, Bias, Conv, Draw, Initialisation, Linear, Network, PReLU, Start
from goingdeeper.trace import trace


def initialise(net: nn.Module, network: Network, generator: torch.Generator) -> None:
    """Fills every parameter and buffer of a built network, in the order of the description.

    Weights are drawn on the CPU, so that one seed gives the same network on every device.
    """
    for step in trace(network):
        layer = step.layer
        if isinstance(layer, Bias):
            nn.init.zeros_(net.get_parameter(f"{step.path}.bias"))
        if not isinstance(layer, Conv | Linear):
            continue
        unit = net.get_submodule(step.path)
        inner = unit.get_submodule("conv") if isinstance(layer, Conv) else unit
        assert isinstance(inner, nn.Conv2d | nn.Linear)
        draw, bias = _start(step.path, layer, network.init)
        fill(inner.weight, draw, generator)
        if inner.bias is not None:
            nn.init.constant_(inner.bias, bias)
        if isinstance(layer, Conv) and layer.norm:
            _reset_norm(unit.get_submodule("norm"))
        if isinstance(layer.act, PReLU):
            nn.init.constant_(unit.get_parameter("act.weight"), layer.act.slope)


def _start(path: str, layer: Conv | Linear, rule: Initialisation) -> tuple[Draw, float]:
    """How a layer's weights are drawn, and what its biases are."""
    apart = next((start for pattern, start in rule.apart if fnmatchcase(path, pattern)), Start())
    draw, width = (rule.conv, layer.filters) if isinstance(layer, Conv) else (rule.linear, layer.features)
    bias = rule.classifier_bias if width == CLASSES else rule.bias
    return apart.weights or draw, bias if apart.bias is None else apart.bias


@torch.no_grad()
def fill(weight: Tensor, draw: Draw, generator: torch.Generator) -> None:
    """Draws the weights of one layer, (filters, channels, ...), on the CPU."""
    area = math.prod(weight.shape[2:])
    fan_in, fan_out = weight.shape[1] * area, weight.shape[0] * area
    fan = {"in": fan_in, "out": fan_out, "average": (fan_in + fan_out) / 2, "one": 1}[draw.fan]
    std = math.sqrt(draw.gain / fan)
    values = torch.empty(weight.shape)
    match draw.distribution:
        case "normal":
            values.normal_(0.0, std, generator=generator)
        case "truncated":
            nn.init.trunc_normal_(values, 0.0, std, -2 * std, 2 * std, generator=generator)
        case "uniform":
            bound = math.sqrt(3.0) * std
            values.uniform_(-bound, bound, generator=generator)
    weight.copy_(values)


def _reset_norm(norm: nn.Module) -> None:
    assert isinstance(norm, nn.BatchNorm2d)
    norm.reset_running_stats()
    nn.init.zeros_(norm.bias)
    if norm.weight is not None:  # a record without scale has no gamma
        nn.init.ones_(norm.weight)

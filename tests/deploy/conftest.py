"""Networks as if they had been trained."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from goingdeeper import catalogue
from goingdeeper.layers import Linear
from goingdeeper.nn.build import build


@pytest.fixture(scope="session")
def small():
    return _small


@pytest.fixture(scope="session")
def trained():
    return _trained


def _small(name):
    """A network of the catalogue without heads, at a small input where its linear layers allow it."""
    network = replace(catalogue.network(name), heads=())
    if any(isinstance(layer, Linear) for _, layer in network.layers[:-1]):
        return network
    side = 75 if name.startswith("inception") else min(network.input[1], 64)
    return replace(network, input=(network.input[0], side, side))


def _trained(network, seed=0):
    """A built network whose norms and biases are those of no fresh one."""
    net = build(network, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1, generator=generator)
                module.running_var.uniform_(0.5, 2, generator=generator)
                module.bias.normal_(0, 0.1, generator=generator)
                if module.weight is not None:
                    module.weight.uniform_(0.5, 1.5, generator=generator)
            elif isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                module.bias.uniform_(-0.1, 0.1, generator=generator)
    return net.eval()

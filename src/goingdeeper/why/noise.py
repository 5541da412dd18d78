"""Random numbers for a topic's inputs, other than those that its networks' weights are drawn from."""

from __future__ import annotations

import torch
from torch import Tensor

APART = 2**40
"""Between the seeds of weights and of inputs: one seed begins the same stream, whatever it is drawn for."""


def source(seed: int) -> torch.Generator:
    """A generator for inputs."""
    return torch.Generator().manual_seed(APART + seed)


def noise(seed: int, *shape: int) -> Tensor:
    """Of the normal distribution."""
    return torch.randn(shape, generator=source(seed))

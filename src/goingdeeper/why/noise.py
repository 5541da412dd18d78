"""Random numbers for a topic's inputs, other than those that its networks' weights are drawn from."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def apart(seed: int, stream: int = 0) -> int:
    """A seed for inputs: another for each stream, and none of those of weights, which begin at `seed`.

    Mixed, as torch's generator takes the lowest 32 bits of a seed only, whatever is added above them.
    """
    return int(np.random.SeedSequence((seed % 2**64, stream)).generate_state(1)[0])


def source(seed: int, stream: int = 0) -> torch.Generator:
    """A generator for inputs."""
    return torch.Generator().manual_seed(apart(seed, stream))


def noise(seed: int, *shape: int, stream: int = 0) -> Tensor:
    """Of the normal distribution."""
    return torch.randn(shape, generator=source(seed, stream))

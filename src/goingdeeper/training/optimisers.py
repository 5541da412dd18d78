"""The optimiser of a recipe, with its groups of parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from goingdeeper.recipes.optimisers import SGD
from goingdeeper.recipes.recipe import Recipe


def optimiser(parameters: Mapping[str, Tensor], recipe: Recipe) -> torch.optim.SGD:
    """Two groups: weights of convolutions and fully connected layers decay, biases and norms do not."""
    sgd = recipe.optimiser
    assert isinstance(sgd, SGD)
    weights = [value for value in parameters.values() if value.ndim > 1]
    others = [value for value in parameters.values() if value.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": weights}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.SGD(
        groups, lr=sgd.rate, momentum=sgd.momentum, nesterov=sgd.nesterov and sgd.momentum > 0,
        weight_decay=sgd.weight_decay, fused=True,
    )  # fmt: skip

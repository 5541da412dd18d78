"""Gradients between the backward pass and the update: bounded, and refused where they are no numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from goingdeeper.nn.build import Net
from goingdeeper.trace import addresses


class NotFinite(Exception):
    """A gradient that is nan or infinite; the message names its layer."""


@torch.no_grad()
def bounded(parameters: Mapping[str, Tensor], clip: float = 0.0) -> float:
    """The global norm of the gradients, which are scaled down to `clip` where they exceed it; 0 is no bound.

    Pascanu et al. 2013. Raises NotFinite, naming the layer nearest to the loss, where one is not finite: it
    is there that backpropagation met it first.
    """
    named = [(name, value.grad) for name, value in parameters.items() if value.grad is not None]
    gradients = [gradient for _, gradient in named]
    norms = torch._foreach_norm(gradients)
    norm = float(torch.linalg.vector_norm(torch.stack(norms)))
    if not math.isfinite(norm):
        for (name, _), one in reversed(list(zip(named, norms, strict=True))):
            if not bool(one.isfinite()):
                raise NotFinite(f"the gradient of {name} is not finite")
        raise NotFinite("the gradients together are beyond the range of their numbers")
    if clip and norm > clip:
        torch._foreach_mul_(gradients, clip / norm)
    return norm


@torch.no_grad()
def first_not_finite(net: Net, images: Tensor) -> str:
    """The first layer, in the order of execution, that gives nan or infinity; empty where none does."""
    places = addresses(net.description)
    _, found = net.tap(images, places)
    return next((place for place in places if not bool(found[place].isfinite().all())), "")

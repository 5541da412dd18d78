"""Gradients between the backward pass and the update: bounded, and refused where they are no numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from goingdeeper.nn.build import Net
from goingdeeper.trace import addresses


class Norms(NamedTuple):
    """Before any scaling; `each` is by parameter, and still on its device."""

    total: float
    each: dict[str, Tensor]


class LayerNorms:
    """The root mean square of each layer's gradient norm over an epoch's steps."""

    def __init__(self) -> None:
        self.squares: Tensor | None = None
        self.names: tuple[str, ...] = ()
        self.steps = 0

    def add(self, norms: Norms) -> None:
        """Costs one addition of as many numbers as there are parameters; nothing is read back yet."""
        now = torch.stack(list(norms.each.values())).double().square()
        self.squares = now if self.squares is None else self.squares.to(now.device) + now
        self.names = tuple(norms.each)
        self.steps += 1

    def tensors(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        return {} if self.squares is None else dict(zip(self.names, self.squares.unbind(), strict=True))

    def restore(self, tensors: Mapping[str, Tensor], order: Iterable[str], steps: int) -> None:
        """order: of the parameters in the network, which a file does not keep."""
        if tensors:
            self.names, self.steps = tuple(name for name in order if name in tensors), steps
            self.squares = torch.stack([tensors[name] for name in self.names])

    def by_layer(self) -> dict[str, float]:
        """By the layer's address, in the order of the network; empties itself."""
        layers: dict[str, float] = {}
        if self.squares is not None:
            for name, square in zip(self.names, (self.squares / self.steps).tolist(), strict=True):
                layer = name.rpartition(".")[0]
                layers[layer] = layers.get(layer, 0.0) + square
        self.squares, self.steps = None, 0
        return {layer: math.sqrt(square) for layer, square in layers.items()}


class NotFinite(Exception):
    """A gradient that is nan or infinite; the message names its layer."""


@torch.no_grad()
def bounded(parameters: Mapping[str, Tensor], clip: float = 0.0) -> Norms:
    """The norms of the gradients, which are scaled down to a global norm of `clip`; 0 is no bound.

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
    return Norms(norm, dict(zip([name for name, _ in named], norms, strict=True)))


@torch.no_grad()
def bounded_unseen(parameters: Mapping[str, Tensor], clip: float = 0.0) -> tuple[Tensor, list[Tensor]]:
    """As `bounded`, with nothing read back: the global norm and each parameter's, still on their device.

    Every parameter has a gradient. Where the global norm is not finite, the caller leaves the weights alone.
    """
    gradients = [value.grad for value in parameters.values() if value.grad is not None]
    norms = list(torch._foreach_norm(gradients))
    norm = torch.linalg.vector_norm(torch.stack(norms))
    if clip:
        factor = torch.where(norm > clip, clip / norm.double(), 1.0).to(norm.dtype)
        torch._foreach_mul_(gradients, factor)
    return norm, norms


@torch.no_grad()
def first_not_finite(net: Net, images: Tensor) -> str:
    """The first layer, in the order of execution, that gives nan or infinity; empty where none does."""
    places = addresses(net.description)
    _, found = net.tap(images, places)
    return next((place for place in places if not bool(found[place].isfinite().all())), "")

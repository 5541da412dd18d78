"""A network as it was: what a probe's own passes move is put back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def untouched(module: nn.Module, *, training: bool | None = None) -> Iterator[None]:
    """Buffers, gradients, modes and torch's random states are the same bits afterwards, whatever happens.

    Within there are no gradients yet. training: the mode within; None leaves each part in its own. Weights
    are not looked after: probes do not change them.
    """
    modes = [(part, part.training) for part in module.modules()]
    buffers = [
        (part._buffers, name, buffer, buffer.detach().clone())
        for part in module.modules()
        for name, buffer in part._buffers.items()
        if buffer is not None
    ]
    gradients = [(parameter, parameter.grad) for parameter in module.parameters()]
    random = torch.get_rng_state()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
    randoms = [torch.cuda.get_rng_state(device) for device in devices]
    try:
        for parameter, _ in gradients:
            parameter.grad = None
        if training is not None:
            module.train(training)
        yield
    finally:
        for part, mode in modes:
            part.training = mode
        with torch.no_grad():
            for place, name, buffer, before in buffers:
                buffer.copy_(before)
                place[name] = buffer  # where a pass has put another in its place
        for parameter, gradient in gradients:
            parameter.grad = gradient
        torch.set_rng_state(random)
        for device, state in zip(devices, randoms, strict=True):
            torch.cuda.set_rng_state(state, device)


@contextmanager
def kept_map(part: nn.Module) -> Iterator[list[Tensor]]:
    """The maps, (N, C, H, W), that a part of a module gives within, one a call, whatever follows in place."""
    made: list[Tensor] = []

    def keep(module: nn.Module, given: object, found: object) -> Tensor | None:
        if not isinstance(found, Tensor) or found.ndim != 4:
            return None
        made.append(found)
        return found.clone()

    handle = part.register_forward_hook(keep)
    try:
        yield made
    finally:
        handle.remove()

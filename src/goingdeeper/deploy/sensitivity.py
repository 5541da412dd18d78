"""Which layers lose most where their input and weights become int8."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from goingdeeper.deploy.form import Deployed

Hook: TypeAlias = Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor | None]

IMAGES = 32
"""Images that are looked at."""

MOST = 16
"""Layers that are tried one by one."""


@dataclass(frozen=True)
class Hurt:
    """A layer by its address, and the signal-to-noise ratio of the logits, in dB, where it alone is int8."""

    layer: str
    decibels: float


def sensitivity(deployed: Deployed, pixels: Tensor) -> list[Hurt]:
    """The layers that hurt most, the worst first.

    pixels: (N, size, size, 3) bytes, of which the first `IMAGES` are used. One pass finds how much noise each
    layer gives its own output, and the `MOST` noisiest are int8 alone in a pass each: 2 + `MOST` passes at
    most, however deep the network.
    """
    pixels = pixels[:IMAGES]
    units = {
        path.removesuffix(".conv"): module
        for path, module in deployed.net.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    }
    rounded = {path: _rounded(module) for path, module in units.items()}
    local: dict[str, float] = {}

    def listening(path: str) -> Hook:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            local[path] = decibels(output, rounded[path](inputs[0]))

        return hook

    def rounding(path: str) -> Hook:
        return lambda module, inputs, output: rounded[path](inputs[0])

    def passed(hooks: dict[str, Hook]) -> Tensor:
        handles = [units[path].register_forward_hook(hook) for path, hook in hooks.items()]
        try:
            with torch.inference_mode():
                logits: Tensor = deployed(pixels)
        finally:
            for handle in handles:
                handle.remove()
        return logits

    expected = passed({path: listening(path) for path in units})
    worst = sorted(local, key=lambda path: local[path])[:MOST]
    found = [Hurt(path, decibels(expected, passed({path: rounding(path)}))) for path in worst]
    return sorted(found, key=lambda one: one.decibels)


def decibels(expected: Tensor, found: Tensor) -> float:
    """Signal-to-noise ratio, at most 99."""
    noise = float((expected - found).double().square().sum())
    signal = float(expected.double().square().sum())
    if noise == 0:
        return 99.0
    return min(99.0, 10 * math.log10(signal / noise)) if signal else -99.0


def _rounded(module: nn.Conv2d | nn.Linear) -> Callable[[Tensor], Tensor]:
    """The layer with its input rounded to 256 steps between its smallest and largest value, and the weights
    of each output channel to 255."""
    twin = deepcopy(module)
    with torch.no_grad():
        rows = twin.weight.flatten(1)
        step = rows.abs().amax(1, keepdim=True).clamp(min=1e-30) / 127
        twin.weight.copy_(((rows / step).round() * step).view_as(twin.weight))

    def call(x: Tensor) -> Tensor:
        low, high = x.min().clamp(max=0), x.max().clamp(min=0)
        step = (high - low).clamp(min=1e-30) / 255
        zero = (-low / step).round()
        made: Tensor = twin((((x / step).round() + zero).clamp(0, 255) - zero) * step)
        return made

    return call

"""The torch modules behind the layer records. Composite ones pass taps on to their parts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from goingdeeper.errors import DescriptionError
from goingdeeper.layers import AvgPool, BatchNorm, Conv, MaxPool, pair, sides


@dataclass(frozen=True)
class Taps:
    """Addresses whose values are wanted from a pass, and the values found so far."""

    wanted: frozenset[str]
    prefix: str = ""
    found: dict[str, Tensor] = field(default_factory=dict)

    def through(self, module: nn.Module, name: str, x: Tensor) -> Tensor:
        """module(x), keeping what is wanted of it and of its parts."""
        path = self.prefix + name
        below = f"{path}."
        if isinstance(module, Composite) and any(want.startswith(below) for want in self.wanted):
            y: Tensor = module(x, Taps(self.wanted, below, self.found))
        else:
            y = module(x)
        if path in self.wanted:
            self.found[path] = y
            y = y.clone()  # what follows may work in place
        return y


def run(module: nn.Module, name: str, x: Tensor, taps: Taps | None) -> Tensor:
    y: Tensor = module(x) if taps is None else taps.through(module, name, x)
    return y


class Composite(nn.Module):
    """A module with addressable parts: `forward(x, taps=None)`."""

    def __init__(self, parts: Iterable[tuple[str, nn.Module]]) -> None:
        super().__init__()
        for name, part in parts:
            if hasattr(self, name):
                raise DescriptionError(f"'{name}' cannot be a layer's name: modules use it")
            self.add_module(name, part)

    def run_parts(self, x: Tensor, taps: Taps | None) -> Tensor:
        for name, part in self.named_children():
            x = run(part, name, x, taps)
        return x

    def forward(self, x: Tensor, taps: Taps | None = None) -> Tensor:
        return self.run_parts(x, taps)


class Branches(Composite):
    """Branches on one input, joined along the channels."""

    def forward(self, x: Tensor, taps: Taps | None = None) -> Tensor:
        return torch.cat([run(branch, name, x, taps) for name, branch in self.named_children()], dim=1)


class ResidualBlock(Composite):
    """body(x) + shortcut(x), then ReLU; the last part is the shortcut."""

    def __init__(self, body: Iterable[tuple[str, nn.Module]], shortcut: nn.Module, relu: bool) -> None:
        super().__init__([*body, ("shortcut", shortcut)])
        self._relu = relu

    def forward(self, x: Tensor, taps: Taps | None = None) -> Tensor:
        *body, (name, shortcut) = self.named_children()
        y = x
        for part_name, part in body:
            y = run(part, part_name, y, taps)
        y = y + run(shortcut, name, x, taps)
        return F.relu(y, inplace=True) if self._relu else y


class ConvUnit(Composite):
    """Convolution, batch normalisation, ReLU as `conv`, `norm`, `act`."""

    def __init__(self, layer: Conv, channels: int, filters: int) -> None:
        top, bottom, left, right = sides(layer)
        even = top == bottom and left == right
        parts: list[tuple[str, nn.Module]] = []
        if not even:
            parts.append(("pad", nn.ZeroPad2d((left, right, top, bottom))))
        kernel, padding = pair(layer.kernel), (top, left) if even else (0, 0)
        parts.append((
            "conv",
            nn.Conv2d(
                channels, filters, kernel, layer.stride, padding, groups=layer.groups, bias=layer.bias
            ),
        ))  # fmt: skip
        if layer.norm:
            parts.append(("norm", batch_norm(layer.norm, filters)))
        if layer.relu:
            parts.append(("act", nn.ReLU(inplace=True)))
        super().__init__(parts)


def batch_norm(norm: BatchNorm, channels: int) -> nn.BatchNorm2d:
    module = nn.BatchNorm2d(channels, norm.eps, norm.momentum)
    if not norm.scale:
        module.register_parameter("weight", None)
    return module


class Pool(nn.Module):
    """Maximum or mean over windows, also with padding that differs from side to side."""

    def __init__(self, layer: MaxPool | AvgPool) -> None:
        super().__init__()
        self.layer = layer
        top, bottom, left, right = sides(layer)
        self.even = top == bottom and left == right
        self.around = (left, right, top, bottom)

    def forward(self, x: Tensor) -> Tensor:
        layer, kernel = self.layer, pair(self.layer.kernel)
        left, _, top, _ = self.around
        if not self.even:
            # A last window that would start in the padding is dropped, as torch does where it pads itself.
            rows, columns = -(-(x.shape[2] + top) // layer.stride), -(-(x.shape[3] + left) // layer.stride)
            return self._padded(x)[:, :, :rows, :columns]
        if isinstance(layer, MaxPool):
            return F.max_pool2d(x, kernel, layer.stride, (top, left), ceil_mode=layer.ceil)
        return F.avg_pool2d(x, kernel, layer.stride, (top, left), layer.ceil, layer.count_padding)

    def _padded(self, x: Tensor) -> Tensor:
        layer, kernel = self.layer, pair(self.layer.kernel)
        if isinstance(layer, MaxPool):
            x = F.pad(x, self.around, value=float("-inf"))
            return F.max_pool2d(x, kernel, layer.stride, ceil_mode=layer.ceil)
        y = F.avg_pool2d(F.pad(x, self.around), kernel, layer.stride, ceil_mode=layer.ceil)
        if layer.count_padding:
            return y
        ones = F.pad(torch.ones_like(x[:1, :1]), self.around)
        return y / F.avg_pool2d(ones, kernel, layer.stride, ceil_mode=layer.ceil)

    def extra_repr(self) -> str:
        return str(self.layer)


class GlobalAverage(nn.Module):
    """Mean over the map; (N, C, H, W) to (N, C, 1, 1)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=True)


class FullyConnected(nn.Linear):
    """A linear layer on the flattened input, with ReLU where the record has one."""

    def __init__(self, inputs: int, features: int, bias: bool, relu: bool) -> None:
        super().__init__(inputs, features, bias)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x.flatten(1))
        return F.relu(y, inplace=True) if self.relu else y


class ZeroPadShortcut(nn.Module):
    """Every stride-th pixel, with `before` and `after` channels of zeros around the real ones."""

    def __init__(self, stride: int, before: int, after: int) -> None:
        super().__init__()
        self.stride, self.before, self.after = stride, before, after

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, self.before, self.after))

    def extra_repr(self) -> str:
        return f"stride={self.stride}, before={self.before}, after={self.after}"

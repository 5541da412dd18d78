"""The torch modules behind the layer records that hold no others."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from goingdeeper.layers import (
    Activation,
    AvgPool,
    BatchNorm,
    Bias,
    Conv,
    Linear,
    Maxout,
    MaxPool,
    PReLU,
    ReLU,
    Sigmoid,
    Slice,
    pair,
    pieces,
    sides,
)
from goingdeeper.nn.composites import Composite
from goingdeeper.shapes import equal_parts


class ConvUnit(Composite):
    """Convolution, batch normalisation, activation as `conv`, `norm`, `act`."""

    def __init__(self, layer: Conv, channels: int, filters: int) -> None:
        top, bottom, left, right = sides(layer)
        even = top == bottom and left == right
        parts: list[tuple[str, nn.Module]] = []
        if not even:
            parts.append(("pad", nn.ZeroPad2d((left, right, top, bottom))))
        kernel, padding = pair(layer.kernel), (top, left) if even else (0, 0)
        outputs = filters * pieces(layer)
        parts.append((
            "conv",
            nn.Conv2d(
                channels, outputs, kernel, layer.stride, padding, groups=layer.groups, bias=layer.bias
            ),
        ))  # fmt: skip
        if layer.norm:
            parts.append(("norm", batch_norm(layer.norm, outputs)))
        if layer.act:
            parts.append(("act", activation(layer.act, filters)))
        super().__init__(parts)


def activation(act: Activation, width: int) -> nn.Module:
    match act:
        case ReLU():
            return nn.ReLU(inplace=True)
        case PReLU():
            return nn.PReLU(1 if act.shared else width)
        case Maxout():
            return MaxOverPieces(act.pieces)
        case Sigmoid():
            return nn.Sigmoid()


class UnscaledDropout(nn.Dropout):
    """Dropout that leaves what is kept as it is, in training and after."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1 - self.p) if self.training else x


class MaxOverPieces(nn.Module):
    """The maximum over groups of neighbouring channels or features."""

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        return torch.unflatten(x, 1, (-1, self.pieces)).amax(2)

    def extra_repr(self) -> str:
        return f"pieces={self.pieces}"


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


class AdaptiveAverage(nn.Module):
    """Means over bins x bins parts of the map; (N, C, H, W) to (N, C, bins, bins)."""

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.bins = bins

    def forward(self, x: Tensor) -> Tensor:
        if part := even_part(x, self.bins):
            return F.avg_pool2d(x, part)
        rows = [x[:, :, a:b].mean(2) for a, b in equal_parts(x.shape[2], self.bins)]
        columns = equal_parts(x.shape[3], self.bins)
        return torch.stack([torch.stack([row[..., a:b].mean(-1) for a, b in columns], -1) for row in rows], 2)

    def extra_repr(self) -> str:
        return f"bins={self.bins}"


class PyramidPool(nn.Module):
    """Maxima over n x n parts for each n, flattened one after the other; (N, C, H, W) to (N, C x sum n^2).

    Where sizes do not divide, slices of fixed borders: adaptive pooling has no ONNX form there, and on GPUs
    its gradients differ from run to run.
    """

    def __init__(self, bins: tuple[int, ...]) -> None:
        super().__init__()
        self.bins = bins

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self._level(x, bins) for bins in self.bins], 1)

    def _level(self, x: Tensor, bins: int) -> Tensor:
        if part := even_part(x, bins):
            return F.max_pool2d(x, part).flatten(1)
        rows = torch.stack([x[:, :, a:b].amax(2) for a, b in equal_parts(x.shape[2], bins)], 2)
        return torch.stack([rows[..., a:b].amax(-1) for a, b in equal_parts(x.shape[3], bins)], -1).flatten(1)

    def extra_repr(self) -> str:
        return f"bins={self.bins}"


def even_part(x: Tensor, bins: int) -> tuple[int, int] | None:
    """Height and width of each of bins x bins parts of one size, None where the map has none."""
    height, width = x.shape[2:]
    return None if height % bins or width % bins else (height // bins, width // bins)


class FullyConnected(nn.Linear):
    """A linear layer on the flattened input, with the record's activation as `act`."""

    act: nn.Module | None

    def __init__(self, layer: Linear, inputs: int, features: int) -> None:
        super().__init__(inputs, features * pieces(layer), layer.bias)
        self.act = activation(layer.act, features) if layer.act else None

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x.flatten(1))
        return self.act(y) if self.act else y


class ZeroPadShortcut(nn.Module):
    """Every stride-th pixel, with `before` and `after` channels of zeros around the real ones."""

    def __init__(self, stride: int, before: int, after: int) -> None:
        super().__init__()
        self.stride, self.before, self.after = stride, before, after

    def forward(self, x: Tensor) -> Tensor:
        x = F.avg_pool2d(x, 1, self.stride)  # of windows of one pixel: their slices' gradient takes longer
        return F.pad(x, (0, 0, 0, 0, self.before, self.after))

    def extra_repr(self) -> str:
        return f"stride={self.stride}, before={self.before}, after={self.after}"


class ChannelSlice(nn.Module):
    """Some of the channels, then ReLU if there is one."""

    def __init__(self, layer: Slice) -> None:
        super().__init__()
        self.first, self.channels, self.relu = layer.first, layer.channels, layer.act is not None

    def forward(self, x: Tensor) -> Tensor:
        part = x.narrow(1, self.first, self.channels)
        return F.relu(part) if self.relu else part  # not in place: other branches read the same map


class ChannelBias(nn.Module):
    """A number added to each channel, then ReLU if there is one."""

    def __init__(self, layer: Bias, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))
        self.relu = layer.act is not None

    def forward(self, x: Tensor) -> Tensor:
        y = x + self.bias[:, None, None]
        return F.relu(y, inplace=True) if self.relu else y

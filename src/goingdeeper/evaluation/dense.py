"""A network run fully convolutionally ("densely"): its logits at every position of a larger image.

The trunk runs once on the whole image. What follows it, from the first layer that takes in a whole map, is
then run on every window of the trunk's map that has the size the map has at the network's own input, one step
of the map apart: a global average becomes an average over windows, a fully connected layer behind a map a
convolution with a kernel of the map's size, further ones 1x1 convolutions. Simonyan and Zisserman 2014,
section 3.2; He et al. 2015, section 3.4.

What holds: window (i, j) of the map stands for the pixels that begin at (i, j) times the trunk's stride and
are as many as the network's own input has. A network that never looks past a border gives exactly the logits
of the ordinary network on these pixels. Where layers pad, or a pool's last window hangs over, the ordinary
network sees zeros beyond the border of the pixels, the dense one the neighbouring pixels; only values of the
map whose receptive field lies inside are equal. The last row and column of windows may reach beyond the image
by less than the stride: with layers that pad, or where the ordinary network leaves its last pixels unused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from goingdeeper.errors import ShapeError, UsageError
from goingdeeper.layers import (
    CLASSES,
    AdaptiveAvgPool,
    AvgPool,
    Chain,
    Conv,
    GlobalAvgPool,
    Layer,
    Linear,
    MaxPool,
    Named,
    SpatialPyramid,
    children,
    pair,
    sides,
)
from goingdeeper.nn.build import Net
from goingdeeper.shapes import Shape
from goingdeeper.trace import trace

AT_ONCE = 2**24
"""Numbers that the windows cut from a map may hold at a time: 64 MB in single precision."""


class Dense(nn.Module):
    """A built network at every position of an image; it holds the network itself, no copy of its weights.

    A pool without padding that covers the whole map at the network's own input counts as a global one, with
    stride 1. Spatial pyramids are taken of each window. Auxiliary heads are not run.

    Raises UsageError for a network in which no convolution comes before a layer that takes in everything.
    """

    def __init__(self, net: Net) -> None:
        super().__init__()
        network = replace(net.description, heads=())
        shapes = {step.path: step.shape_in for step in trace(network)}
        layers = list(_in_turn(network.layers))
        start = next(
            (n for n, (path, layer) in enumerate(layers) if _whole(layer, path, shapes)), len(layers)
        )
        trunk, self._rest = layers[:start], [path for path, _ in layers[start:]]
        if not any(_convolves(layer) for _, layer in trunk):
            raise UsageError(
                f"{network.name} cannot be run densely: {self._rest[0]} takes in the whole image, "
                "no convolution comes before it; score it by crops"
            )
        self.net = net
        self._trunk = [path for path, _ in trunk]
        self._window = shapes[self._rest[0]][1:] if self._rest else (1, 1)
        # Averages over windows are one of torch's own pools, far faster than cutting them out.
        self._average = bool(self._rest) and isinstance(layers[start][1], GlobalAvgPool)
        # Whatever comes last takes a map of any size: for the sizes of the trunk's maps alone.
        named = tuple((path.replace(".", "/"), layer) for path, layer in trunk)
        self._sizes = replace(network, layers=(*named, ("/", Linear(CLASSES))))
        self.train(net.training)

    def forward(self, images: Tensor) -> Tensor:
        """images: (N, channels, height, width), no smaller than the network's own input.

        Gives logits, (N, classes, rows, columns). Raises ShapeError for images that the trunk cannot take,
        UsageError in training mode.
        """
        if self.training:
            raise UsageError("a dense pass is for evaluation; call eval() first")
        _, columns = self.positions(images.shape[2], images.shape[3])
        for path in self._trunk:
            images = self.net.get_submodule(path)(images)
        window, classes = self._window, self.net.description.classes
        if self._average:
            images, window = F.avg_pool2d(images, window, 1), (1, 1)
        cut = images.unfold(2, window[0], 1).unfold(3, window[1], 1)  # (N, C, rows, columns, *window)
        found = []
        for part in torch.split(cut, max(1, AT_ONCE // cut[:, :, :1].numel()), 2):
            windows = part.permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
            for path in self._rest:
                windows = self.net.get_submodule(path)(windows)
            found.append(windows.reshape(len(images), -1, columns, classes))
        return torch.cat(found, 1).permute(0, 3, 1, 2)

    def positions(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of logits for an image of this size. Raises ShapeError where it does not fit."""
        _, least, narrowest = self.net.description.input
        name = self._sizes.name
        if height < least or width < narrowest:
            raise ShapeError(
                f"{name} cannot be run densely on {height}x{width} pixels; "
                f"make the image at least {least}x{narrowest}"
            )
        try:
            rows, columns = self._map(height, width)
        except ShapeError as problem:
            high, wide = self.fitting(height, width)
            raise ShapeError(
                f"{name} cannot be run densely on {height}x{width} pixels: {problem}; "
                f"{high}x{wide} is the largest size that fits"
            ) from None
        return rows - self._window[0] + 1, columns - self._window[1] + 1

    def fitting(self, height: int, width: int) -> tuple[int, int]:
        """The largest height and width up to these that the trunk takes, no less than the network's own.

        Most take any. In some BN-Inceptions branches of stride 2 meet only where their map is even.
        """
        _, least, narrowest = self.net.description.input
        high = next((h for h in range(height, least, -1) if self._takes(h, narrowest)), least)
        wide = next((w for w in range(width, narrowest, -1) if self._takes(least, w)), narrowest)
        return high, wide

    def _map(self, height: int, width: int) -> Shape:
        """Rows and columns of the trunk's map."""
        return trace(self._sizes, (self._sizes.input[0], height, width))[-1].shape_in[1:]

    def _takes(self, height: int, width: int) -> bool:
        try:
            self._map(height, width)
        except ShapeError:
            return False
        return True


def _in_turn(layers: Named, above: str = "") -> Iterator[tuple[str, Layer]]:
    """Layers one after another by address, those of chains in their place."""
    for name, layer in layers:
        if isinstance(layer, Chain):
            yield from _in_turn(layer.layers, f"{above}{name}.")
        else:
            yield above + name, layer


def _whole(layer: Layer, path: str, shapes: dict[str, Shape]) -> bool:
    """Whether the layer, or one in it, takes in the whole map."""
    match layer:
        case GlobalAvgPool() | AdaptiveAvgPool() | SpatialPyramid() | Linear():
            return True
        case MaxPool() | AvgPool():
            kernel, map = pair(layer.kernel), shapes[path][1:]
            return not any(sides(layer)) and kernel[0] >= map[0] and kernel[1] >= map[1]
        case _:
            return any(_whole(inner, f"{path}.{name}", shapes) for name, inner in children(layer))


def _convolves(layer: Layer) -> bool:
    return isinstance(layer, Conv) or any(_convolves(inner) for _, inner in children(layer))

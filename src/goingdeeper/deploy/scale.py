"""The scale of the input, folded into the first convolution as far as that is exact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goingdeeper.data.preprocessing import Preprocessing
from goingdeeper.deploy.rewrite import State
from goingdeeper.layers import Chain, Conv, Layer, Named, Network, sides

Values: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class InputScale:
    """From bytes to the network's input, in this order; what is None or 0 is left out.

    contrast: minus the image's mean, divided by its L2 norm, times this. factor: times this, by channel.
    offset: minus this, (channels, 1, 1) or (channels, height, width). whiten: the values in the order
    channel, row, column, times this matrix.
    """

    contrast: float = 0.0
    factor: Values | None = None
    offset: Values | None = None
    whiten: Values | None = None


def input_scale(
    network: Network, state: State, preprocessing: Preprocessing
) -> tuple[Network, State, InputScale]:
    """What bytes still need before the network: as much as is exact went into its first convolution."""
    if not preprocessing.contrast and not preprocessing.tensors:
        try:
            network, state, mean = fold_scale(network, state, preprocessing.mean, preprocessing.std)
        except ValueError:
            pass  # it begins with another layer
        else:
            return network, state, InputScale(offset=None if mean is None else _by_channel(mean))
    std = np.array(preprocessing.std)
    factor = 1 / ((1 if preprocessing.contrast else 255) * std)
    if preprocessing.mean_image is None:
        offset = _by_channel(np.array(preprocessing.mean) / std)
    else:
        offset = (preprocessing.mean_square().numpy() / std[:, None, None]).astype(np.float32)
    whiten = preprocessing.whiten
    return network, state, InputScale(
        preprocessing.contrast, factor.astype(np.float32), offset,
        None if whiten is None else whiten.cpu().numpy(),
    )  # fmt: skip


def _by_channel(values: Any) -> Values:
    return np.asarray(values, np.float32).reshape(-1, 1, 1)


def fold_scale(
    network: Network, state: Mapping[str, Tensor], mean: tuple[float, ...], std: tuple[float, ...]
) -> tuple[Network, State, tuple[float, ...] | None]:
    """The network that takes bytes (0 to 255) where it took bytes / 255, minus mean, over std, by channel.

    Also the mean in bytes that still has to be taken off the input: None where it went into the bias. That is
    exact in front of an unpadded convolution alone; in front of a padded one the border, which is 0 after the
    scale, would no longer be. Raises ValueError where the network does not begin with a convolution without
    norm and groups.
    """
    found = _first(network.layers)
    if found is None:
        raise ValueError(f"{network.name} does not begin with a convolution that could take the scale")
    path, conv = found
    made = dict(state)
    weight = state[f"{path}.conv.weight"].double()
    factor = 1 / (255 * torch.tensor(std, dtype=torch.float64))
    scaled = weight * factor[None, :, None, None]
    made[f"{path}.conv.weight"] = scaled.float()
    offset = 255 * torch.tensor(mean, dtype=torch.float64)
    if any(sides(conv)):
        return network, made, tuple(offset.tolist())
    shift = (scaled * offset[None, :, None, None]).sum((1, 2, 3))
    bias = state.get(f"{path}.conv.bias", torch.zeros(len(weight))).double()
    made[f"{path}.conv.bias"] = (bias - shift).float()
    return _replaced(network, path, replace(conv, bias=True)), made, None


def _first(layers: Named, prefix: str = "") -> tuple[str, Conv] | None:
    name, layer = layers[0]
    if isinstance(layer, Chain):
        return _first(layer.layers, f"{prefix}{name}.")
    if isinstance(layer, Conv) and layer.norm is None and layer.groups == 1:
        return prefix + name, layer
    return None


def _replaced(network: Network, path: str, conv: Conv) -> Network:
    def inside(layers: Named, names: list[str]) -> Named:
        first, *rest = names
        (name, layer), *others = layers
        assert name == first
        new: Layer = Chain(inside(layer.layers, rest)) if isinstance(layer, Chain) else conv
        return ((name, new), *others)

    return replace(network, layers=inside(network.layers, path.split(".")))

"""A torch module from a description. State dict keys are the description's addresses."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor, nn

from goingdeeper import catalogue
from goingdeeper.costs.counts import cost
from goingdeeper.edits import rewrite
from goingdeeper.errors import ResourceError, UsageError, unknown
from goingdeeper.layers import (
    LRN,
    AdaptiveAvgPool,
    AvgPool,
    Bias,
    Chain,
    Concat,
    Conv,
    Dropout,
    GlobalAvgPool,
    Highway,
    Identity,
    Layer,
    Linear,
    MaxPool,
    Named,
    Network,
    Residual,
    Slice,
    SpatialPyramid,
    ZeroPad,
    children,
)
from goingdeeper.nn import modules as m
from goingdeeper.nn.composites import Branches, Composite, HighwayLayer, ResidualBlock, Taps
from goingdeeper.nn.initialise import initialise
from goingdeeper.nn.lrn import LocalResponseNorm
from goingdeeper.shapes import Shape, width
from goingdeeper.trace import Step, addresses, trace


class Net(Composite):
    """A built network. `forward` always returns logits, (N, classes), whatever the mode."""

    description: Network
    heads: Composite

    def __init__(self, network: Network) -> None:
        steps = {step.path: step for step in trace(network)}
        self.description = network  # before the parts, so that none takes the name
        super().__init__(_parts(network.layers, "", steps, network))
        self._addresses = frozenset(addresses(network))
        self.heads = _nested(_parts(network.heads, "heads.", steps, network))

    def forward(self, x: Tensor, taps: Taps | None = None) -> Tensor:
        """images: (N, channels, height, width), float32, normalised."""
        parts = [(name, self.get_submodule(name)) for name, _ in self.description.layers]
        return self.in_turn(parts, x, taps).flatten(1)  # some networks end in a global average of class maps

    def tap(self, images: Tensor, addresses: Iterable[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits, and the values at addresses such as `3a`, `conv1.norm` or `heads.4a`, of one pass.

        An address below a head taps inside it. Raises UsageError for one that the network does not have.
        """
        wanted = frozenset(addresses)
        for address in wanted - self._addresses:
            raise unknown(
                f"address in {self.description.name}:", address, self._addresses, "`deeper show` lists them"
            )
        heads = [
            name
            for name, _ in self.description.heads
            if any(_within(want, f"heads.{name}") for want in wanted)
        ]
        taps = Taps(wanted | frozenset(heads))
        logits = self(images, taps)
        inside = Taps(wanted, "heads.", taps.found)
        for name in heads:
            inside.through(self.heads.get_submodule(name), name, taps.found[name])
        return logits, {address: taps.found[address] for address in wanted}

    def until(self, images: Tensor, address: str) -> Tensor:
        """The value at an address of the trunk; layers behind the one it is in are not computed.

        Raises UsageError for an address that the trunk does not have.
        """
        top = address.partition(".")[0]
        if top == "heads" or address not in self._addresses:
            trunk = [known for known in self._addresses if not known.startswith("heads.")]
            raise unknown(f"address in {self.description.name}:", address, trunk, "`deeper show` lists them")
        taps = Taps(frozenset((address,)))
        names = [name for name, _ in self.description.layers]
        parts = [(name, self.get_submodule(name)) for name in names[: names.index(top) + 1]]
        self.in_turn(parts, images, taps)
        return taps.found[address]

    def forward_features(self, images: Tensor) -> Tensor:
        """The last map before global pooling or the first fully connected layer, (N, C, H, W)."""
        for name, layer in self.description.layers:
            if isinstance(layer, GlobalAvgPool | SpatialPyramid | Linear):
                break
            images = self.get_submodule(name)(images)
        return images


def build(network: Network | str, *, seed: int = 0, device: str | torch.device = "cpu") -> Net:
    """A network, by its description or id, as a module with the paper's initial weights from `seed` alone.

    Raises ShapeError where the input is too small, ResourceError where the weights exceed the machine's
    memory. torch's global random state is neither used nor moved.
    """
    network = catalogue.described(network)
    _check_memory(network)
    with torch.device("meta"):
        net = Net(network)
    net.to_empty(device=device)
    initialise(net, network, torch.Generator().manual_seed(seed))
    return net


def create_model(
    name: str | Network,
    *,
    num_classes: int | None = None,
    in_chans: int = 3,
    drop_rate: float | None = None,
    size: int | None = None,
    seed: int = 0,
) -> Net:
    """A network, by its id or description, as a module, with the arguments people know from timm.

    size: input side in pixels, the published one unless given. drop_rate: for every dropout of the trunk.
    """
    network = catalogue.described(name)
    _, height, wide = network.input
    network = replace(
        network,
        classes=num_classes if num_classes is not None else network.classes,
        input=(in_chans, *((height, wide) if size is None else (size, size))),
    )
    if drop_rate is not None:
        rate = drop_rate
        edited = rewrite(
            network, lambda layer: replace(layer, rate=rate) if isinstance(layer, Dropout) else layer
        )
        if rate and not any(isinstance(step.layer, Dropout) for step in trace(replace(network, heads=()))):
            raise UsageError(f"{network.name} has no dropout; leave drop_rate out")
        network = edited
    return build(network, seed=seed)


def _check_memory(network: Network) -> None:
    """Refuses weights that the machine could not hold before the attempt takes all of its memory."""
    params = cost(network).params_with_heads
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else math.inf
    if 4 * params > memory:
        raise ResourceError(
            f"{network.name} has {params:,} parameters: {4 * params / 2**30:,.0f} GiB, "
            f"more than this machine's {memory / 2**30:,.0f}; take a smaller input or fewer classes"
        )


def _parts(
    layers: Named, prefix: str, steps: dict[str, Step], network: Network
) -> list[tuple[str, nn.Module]]:
    return [(name, _module(layer, prefix + name, steps, network)) for name, layer in layers]


def _module(layer: Layer, path: str, steps: dict[str, Step], network: Network) -> nn.Module:
    shape: Shape = steps[path].shape_in
    below = f"{path}."
    match layer:
        case Conv():
            return m.ConvUnit(layer, shape[0], width(layer.filters, network.classes))
        case MaxPool() | AvgPool():
            return m.Pool(layer)
        case GlobalAvgPool():
            return m.GlobalAverage()
        case AdaptiveAvgPool():
            return m.AdaptiveAverage(layer.bins)
        case SpatialPyramid():
            return m.PyramidPool(layer.bins)
        case LRN():
            return LocalResponseNorm(layer.size, layer.alpha, layer.beta, layer.k)
        case Linear():
            return m.FullyConnected(layer, math.prod(shape), width(layer.features, network.classes))
        case Dropout():
            return nn.Dropout(layer.rate) if layer.rescale else m.UnscaledDropout(layer.rate)
        case Identity():
            return nn.Identity()
        case ZeroPad():
            missing = layer.filters - shape[0]
            before = missing // 2 if layer.side == "both" else 0
            return m.ZeroPadShortcut(layer.stride, before, missing - before)
        case Slice():
            return m.ChannelSlice(layer)
        case Bias():
            return m.ChannelBias(layer, shape[0])
        case Chain():
            return Composite(_parts(layer.layers, below, steps, network))
        case Concat():
            return Branches(_parts(layer.branches, below, steps, network))
        case Residual():
            body = _parts(layer.body, below, steps, network)
            shortcut = _module(layer.shortcut, f"{path}.shortcut", steps, network)
            return ResidualBlock(body, shortcut, layer.act)
        case Highway():
            return HighwayLayer(_parts(children(layer), below, steps, network))


def _nested(heads: list[tuple[str, nn.Module]]) -> Composite:
    """Modules by address: `conv1.conv` becomes the part `conv` of the part `conv1`."""
    whole = Composite([])
    for address, head in heads:
        place: nn.Module = whole
        *above, name = address.split(".")
        for part in above:
            if not hasattr(place, part):
                place.add_module(part, Composite([]))
            place = place.get_submodule(part)
        place.add_module(name, head)
    return whole


def _within(address: str, place: str) -> bool:
    return address == place or address.startswith(f"{place}.")

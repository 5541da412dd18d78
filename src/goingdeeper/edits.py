"""Edits: a description from a description. Variants of a network are edits of it, not flags."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from goingdeeper.errors import DescriptionError, UsageError, unknown
from goingdeeper.layers import (
    CLASSES,
    BatchNorm,
    Chain,
    Concat,
    Conv,
    Highway,
    Layer,
    Linear,
    Named,
    Network,
    Residual,
    Width,
    ZeroPad,
)
from goingdeeper.layers.checks import shown
from goingdeeper.trace import trace


def rename(network: Network, name: str) -> Network:
    return replace(_checked(network), name=name)


def without_heads(network: Network) -> Network:
    """The network as it is deployed: auxiliary heads dropped."""
    return replace(_checked(network), heads=())


def rewrite(network: Network, edit: Callable[[Layer], Layer]) -> Network:
    """The network with every layer, innermost first, replaced by `edit(layer)`; heads are left alone."""
    return replace(_checked(network), layers=_rewrite_named(network.layers, edit))


def rewrite_layer(layer: Layer, edit: Callable[[Layer], Layer]) -> Layer:
    """A layer with everything in it, innermost first, and then itself replaced by `edit(layer)`."""
    match layer:
        case Chain():
            layer = Chain(_rewrite_named(layer.layers, edit))
        case Concat():
            layer = Concat(_rewrite_named(layer.branches, edit))
        case Residual():
            layer = replace(
                layer, body=_rewrite_named(layer.body, edit), shortcut=rewrite_layer(layer.shortcut, edit)
            )
        case Highway():
            layer = Highway(rewrite_layer(layer.transform, edit), rewrite_layer(layer.gate, edit))
    return edit(layer)


def without(network: Network, kind: type[Layer]) -> Network:
    """The network without its top-level layers of one kind, such as LRN."""
    kept = tuple((n, layer) for n, layer in _checked(network).layers if not isinstance(layer, kind))
    return replace(network, layers=kept)


def with_batch_norm(network: Network, norm: BatchNorm) -> Network:
    """Batch norm between every convolution and its activation, in place of biases; heads are left alone."""

    def edit(layer: Layer) -> Layer:
        return replace(layer, norm=norm, bias=False) if isinstance(layer, Conv) else layer

    return rewrite(network, edit)


def widen(network: Network, factor: float) -> Network:
    """Every convolution and hidden layer `factor` times as wide, rounded so that groups still divide.

    Option A's zero-padding follows; heads, too. GoogLeNet's seventh model was a wider one (Szegedy et al.
    2014, section 7), by how much is not printed. Raises DescriptionError for a factor that is not above 0.
    """
    name = _checked(network).name
    if not 0 < factor < math.inf:
        raise DescriptionError(f"{name} cannot be made {factor} times as wide; take a factor above 0")
    groups = math.lcm(*(step.layer.groups for step in trace(network) if isinstance(step.layer, Conv)))

    def times(width: Width) -> Width:
        if width == CLASSES:
            return width
        unit = math.gcd(int(width), groups)  # a grouped convolution may be behind any layer
        return unit * max(1, round(int(width) * factor / unit))

    def edit(layer: Layer) -> Layer:
        match layer:
            case Conv():
                return replace(layer, filters=times(layer.filters))
            case Linear():
                return replace(layer, features=times(layer.features))
            case ZeroPad():
                return replace(layer, filters=int(times(layer.filters)))
            case _:
                return layer

    heads = tuple((address, rewrite_layer(head, edit)) for address, head in network.heads)
    return replace(rewrite(network, edit), heads=heads)


def replace_layer(network: Network, name: str, layer: Layer) -> Network:
    """The network with one top-level layer exchanged."""
    if name not in dict(_checked(network).layers):
        raise unknown(f"layer of {network.name}:", name, dict(network.layers), "name a top-level layer")
    return replace(network, layers=tuple((n, layer if n == name else old) for n, old in network.layers))


def without_shortcuts(network: Network) -> Network:
    """The plain network: the same layers without the additions (He et al. 2015, section 3.3).

    A block's last convolution gets back the ReLU that stood behind the addition.
    """
    return rewrite(network, lambda layer: plain(layer) if isinstance(layer, Residual) else layer)


def plain(block: Residual) -> Chain:
    """One residual block without its shortcut.

    Raises DescriptionError where the block does not end in a convolution that could take its ReLU.
    """
    *before, (name, last) = block.body
    if block.act:
        if not isinstance(last, Conv):
            raise DescriptionError(f"'{name}' ends a residual block but is no convolution to take its ReLU")
        last = replace(last, act=block.act)
    return Chain((*before, (name, last)))


def stride_on_3x3(network: Network) -> Network:
    """The later "v1.5" of a bottleneck network: the stride moves from the first 1x1 to the 3x3."""
    return rewrite(network, lambda layer: _v1_5(layer) if isinstance(layer, Residual) else layer)


def _v1_5(block: Residual) -> Residual:
    match block.body:
        case ((a, Conv(kernel=1 | (1, 1)) as first), (b, Conv() as second), *rest):
            moved = replace(first, stride=1), replace(second, stride=first.stride * second.stride)
            return replace(block, body=((a, moved[0]), (b, moved[1]), *rest))
        case _:
            return block


def _checked(network: object) -> Network:
    """Refuses what is no description, above all an id: edits know no catalogue. Raises UsageError."""
    if not isinstance(network, Network):
        remedy = f"take goingdeeper.network({shown(network)})" if isinstance(network, str) else "take one"
        raise UsageError(f"{shown(network)} is not a Network; {remedy}")
    return network


def _rewrite_named(layers: Named, edit: Callable[[Layer], Layer]) -> Named:
    return tuple((name, rewrite_layer(layer, edit)) for name, layer in layers)

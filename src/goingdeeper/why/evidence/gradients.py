"""Gradients by depth: initialisation, batch norm and shortcuts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from goingdeeper.catalogue import network
from goingdeeper.layers import (
    HE,
    RELU,
    XAVIER,
    Activation,
    BatchNorm,
    Conv,
    Draw,
    Identity,
    Initialisation,
    Layer,
    Network,
    Residual,
    Sigmoid,
)
from goingdeeper.trace import trace
from goingdeeper.why.charts import Lines, curve
from goingdeeper.why.claims import measured
from goingdeeper.why.part import Part

if TYPE_CHECKING:
    from torch import Tensor

STEEPEST = 0.25
"""The largest derivative of a sigmoid, at 0."""

WIDTH, BATCH, SEEDS = 128, 512, 3
"""Of the fully connected networks; the networks that each figure is the mean of."""

DEPTHS = (18, 54)


class ByDepth(NamedTuple):
    """Of what each layer or block behind the first is given, from the first to the last: the gradient's norm,
    and the standard deviation of the values."""

    gradients: list[float]
    responses: list[float]


def arithmetic() -> Part:
    depths = tuple(range(1, 21))
    chart = Lines(
        "gradients-sigmoid",
        "Product of the largest derivatives of sigmoids, weights left out",
        "layers",
        "factor",
        (
            curve(
                "0.25 to the power of the layers",
                depths,
                (STEEPEST**n for n in depths),
            ),
        ),
        y_scale="log",
    )
    return Part((measured("gradients-sigmoid", STEEPEST**20),), (chart,))


def init(seed: int) -> Part:
    """Gradients of a random linear loss, by the input of each layer or block, mean of `SEEDS` networks."""
    shallow, deep = DEPTHS
    kinds: dict[str, Callable[[int], Network]] = {
        "plain, Xavier": lambda depth: plain(depth, XAVIER),
        "plain, He": plain,
        "plain, batch norm": lambda depth: plain(depth, norm=True),
        "residual, batch norm": lambda depth: residual(depth, norm=True),
        "residual, He": residual,
    }
    found = {(name, depth): by_depth(make(depth), seed) for name, make in kinds.items() for depth in DEPTHS}
    norms = {key: one.gradients for key, one in found.items()}
    sigmoids = by_depth(plain(shallow, XAVIER, act=Sigmoid()), seed)
    convolutional = {name: by_depth(network(name), seed, batch=32) for name in NETWORKS}
    evidence = measured(
        "gradients-init",
        *(_factor(norms[name, deep]) for name in ("plain, Xavier", "plain, He", "plain, batch norm")),
        _factor(convolutional["cifar-plain-56"].gradients),
        _factor(sigmoids.gradients),
        *(
            _ratio(norms[name, depth])
            for name in ("plain, Xavier", "plain, He", "plain, batch norm", "residual, batch norm")
            for depth in DEPTHS
        ),
        _ratio(norms["residual, He", deep]),
    )
    connected = {name: found[name, deep] for name in kinds}
    charts = (
        *by_depth_charts("gradients", f"{deep} layers, fully connected, at initialisation", connected),
        *by_depth_charts(
            "gradients-cifar", "Networks for CIFAR-10, as published, at initialisation", convolutional
        ),
    )
    notes = (
        f"{WIDTH} wide behind a first layer, {BATCH} images of noise, mean of {SEEDS} networks, gradient of "
        "a random linear loss by what each layer or block is given; bounds of ratios are four standard "
        "deviations of the difference between two such means, as measured over 40 networks",
        *(
            f"{name}: gradient norm at the first layer's input over the last one's {_ratio(own):.2g}"
            for name, (own, _) in convolutional.items()
        ),
    )
    return Part((evidence,), charts, notes)


NETWORKS = ("cifar-plain-20", "cifar-plain-56", "cifar-resnet-20-a", "cifar-resnet-56-a")


def plain(depth: int, draw: Draw = HE, *, norm: bool = False, act: Activation = RELU) -> Network:
    """Fully connected layers behind a first one, as 1x1 convolutions of single pixels."""
    layers: dict[str, Layer] = {"first": _layer(norm, act)}
    layers |= {f"layer{n + 1}": _layer(norm, act) for n in range(depth)}
    return Network("plain", layers, (), (WIDTH, 1, 1), WIDTH, Initialisation(conv=draw))


def residual(depth: int, draw: Draw = HE, *, norm: bool = False, act: Activation = RELU) -> Network:
    """The same with a shortcut around every two layers, and a ReLU behind each addition."""
    block = Residual({"conv1": _layer(norm, act), "conv2": _layer(norm, None)}, Identity(), RELU)
    layers: dict[str, Layer] = {"first": _layer(norm, act)}
    layers |= {f"block{n + 1}": block for n in range(depth // 2)}
    return Network("residual", layers, (), (WIDTH, 1, 1), WIDTH, Initialisation(conv=draw))


def by_depth(net: Network, seed: int, batch: int = BATCH) -> ByDepth:
    """Means over `SEEDS` networks of one training pass on noise."""
    from goingdeeper.nn.build import build
    from goingdeeper.probes.watch import read_once
    from goingdeeper.why.noise import noise

    names = layers_of(net)[:-1]  # what the last one gives is no other's input
    found = []
    for number in range(SEEDS):
        own = SEEDS * seed + number
        images, weights = noise(own, batch, *net.input), noise(own, batch, net.classes, stream=1)

        def loss(logits: Tensor, weights: Tensor = weights) -> Tensor:
            return (logits * weights).sum()

        readings = read_once(build(net, seed=own), images, loss, names)
        found.append(ByDepth([one.gradient for one in readings], [one.response for one in readings]))
    return mean_of(found)


def mean_of(networks: Sequence[ByDepth]) -> ByDepth:
    """Layer by layer, of networks of one kind."""
    return ByDepth(
        *([fmean(own) for own in zip(*values, strict=True)] for values in zip(*networks, strict=True))
    )


def layers_of(net: Network) -> list[str]:
    """Addresses of the layers that follow each other: residual blocks, and convolutions outside of any."""
    steps = trace(net)
    blocks = [step.path for step in steps if isinstance(step.layer, Residual)]
    return [
        step.path
        for step in steps
        if step.path in blocks
        or (isinstance(step.layer, Conv) and not any(step.path.startswith(f"{block}.") for block in blocks))
    ]


def _layer(norm: bool, act: Activation | None = RELU) -> Conv:
    return Conv(WIDTH, 1, norm=BatchNorm() if norm else None, act=act)


def _ratio(norms: Sequence[float]) -> float:
    """At the input's side over the output's."""
    return norms[0] / norms[-1]


def _factor(norms: Sequence[float]) -> float:
    """A layer, on the squared norm, towards the input."""
    return float(_ratio(norms) ** (2 / (len(norms) - 1)))


def by_depth_charts(name: str, title: str, found: dict[str, ByDepth]) -> tuple[Lines, Lines]:
    """Gradients relative to the last layer's, and responses; each network's layers over the same axis."""
    gradients = {
        label: [value / one.gradients[-1] for value in one.gradients] for label, one in found.items()
    }
    responses = {label: one.responses for label, one in found.items()}
    return (
        _chart(
            name, f"{title}: gradients", "gradient norm over the last layer's", gradients, (1, "unchanged")
        ),
        _chart(
            f"{name}-responses", f"{title}: responses", "standard deviation of a layer's input", responses
        ),
    )


def _chart(
    name: str, title: str, unit: str, values: dict[str, list[float]], level: tuple[float, str] | None = None
) -> Lines:
    return Lines(
        name,
        title,
        "depth, %: the last layer's input is 100",
        unit,
        tuple(
            curve(label, (100 * (place + 1) / len(own) for place in range(len(own))), own)
            for label, own in values.items()
        ),
        y_scale="log",
        level=level,
    )

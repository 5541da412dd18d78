"""Gradients by depth: initialisation, batch norm and shortcuts."""

from __future__ import annotations

from collections.abc import Callable
from statistics import fmean
from typing import TYPE_CHECKING

from goingdeeper.catalogue import network
from goingdeeper.layers import (
    HE,
    RELU,
    XAVIER,
    BatchNorm,
    Conv,
    Draw,
    Identity,
    Initialisation,
    Layer,
    Network,
    Residual,
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
    """Gradients of a random linear loss, by the output of each layer or block, mean of `SEEDS` networks."""
    deep = DEPTHS[-1]
    kinds: dict[str, Callable[[int], Network]] = {
        "plain, Xavier": lambda depth: plain(depth, XAVIER),
        "plain, He": plain,
        "plain, batch norm": lambda depth: plain(depth, norm=True),
        "residual, batch norm": lambda depth: residual(depth, norm=True),
        "residual, He": residual,
    }
    norms = {(name, depth): norms_of(make(depth), seed) for name, make in kinds.items() for depth in DEPTHS}
    convolutional = {name: norms_of(network(name), seed, batch=32) for name in NETWORKS}
    evidence = measured(
        "gradients-init",
        *(_factor(norms[name, deep]) for name in ("plain, Xavier", "plain, He", "plain, batch norm")),
        _factor(convolutional["cifar-plain-56"]),
        *(
            _ratio(norms[name, depth])
            for name in ("plain, Xavier", "plain, He", "plain, batch norm", "residual, batch norm")
            for depth in DEPTHS
        ),
        _ratio(norms["residual, He", deep]),
    )
    charts = (
        _chart(
            "gradients",
            f"{deep} layers, fully connected, at initialisation",
            {name: norms[name, deep] for name in kinds},
        ),
        _chart("gradients-cifar", "Networks for CIFAR-10, as published, at initialisation", convolutional),
    )
    notes = (
        f"{WIDTH} wide, {BATCH} images of noise, mean of {SEEDS} networks, gradient of a random linear loss; "
        "norms of so narrow networks differ by up to three times",
        *(
            f"{name}: norm at the input over that at the output {_ratio(found):.2g}"
            for name, found in convolutional.items()
        ),
    )
    return Part((evidence,), charts, notes)


NETWORKS = ("cifar-plain-20", "cifar-plain-56", "cifar-resnet-20-a", "cifar-resnet-56-a")


def plain(depth: int, draw: Draw = HE, *, norm: bool = False) -> Network:
    """Fully connected layers, as 1x1 convolutions of single pixels."""
    layers: dict[str, Layer] = {f"layer{n + 1}": _layer(norm) for n in range(depth)}
    return Network("plain", layers, (), (WIDTH, 1, 1), WIDTH, Initialisation(conv=draw))


def residual(depth: int, *, norm: bool = False) -> Network:
    """The same with a shortcut around every two layers."""
    layers: dict[str, Layer] = {
        f"block{n + 1}": Residual({"conv1": _layer(norm), "conv2": _layer(norm, act=False)}, Identity(), RELU)
        for n in range(depth // 2)
    }
    return Network("residual", layers, (), (WIDTH, 1, 1), WIDTH)


def norms_of(net: Network, seed: int, batch: int = BATCH) -> list[float]:
    """Norms of the gradient by what each layer or block gives, from the input to the output."""
    from goingdeeper.nn.build import build
    from goingdeeper.probes.watch import read_once
    from goingdeeper.why.noise import APART, noise

    names = layers_of(net)
    found: list[list[float]] = []
    for number in range(SEEDS):
        own = SEEDS * seed + number
        images, weights = noise(own, batch, *net.input), noise(own + APART, batch, net.classes)

        def loss(logits: Tensor, weights: Tensor = weights) -> Tensor:
            return (logits * weights).sum()

        readings = read_once(build(net, seed=own), images, loss, names)
        found.append([one.gradient for one in readings])
    return [fmean(values) for values in zip(*found, strict=True)]


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


def _layer(norm: bool, *, act: bool = True) -> Conv:
    return Conv(WIDTH, 1, norm=BatchNorm() if norm else None, act=RELU if act else None)


def _ratio(norms: list[float]) -> float:
    """At the input's side over the output's."""
    return norms[0] / norms[-1]


def _factor(norms: list[float]) -> float:
    """A layer, on the squared norm, towards the input."""
    return float(_ratio(norms) ** (2 / (len(norms) - 1)))


def _chart(name: str, title: str, norms: dict[str, list[float]]) -> Lines:
    """Each network's layers spread over the same axis, relative to the last one's gradient."""
    return Lines(
        name,
        title,
        "depth, %: the output is 100",
        "gradient norm over the last layer's",
        tuple(
            curve(
                label,
                (100 * (place + 1) / len(found) for place in range(len(found))),
                (value / found[-1] for value in found),
            )
            for label, found in norms.items()
        ),
        y_scale="log",
        level=(1.0, "unchanged"),
    )

"""The first layer's gradient while networks train: which of them let it go to zero."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from goingdeeper.errors import DataError
from goingdeeper.layers import CLASSES, XAVIER, Conv, Linear, Network, Sigmoid
from goingdeeper.notation import from_data
from goingdeeper.trace import trace
from goingdeeper.why.charts import Lines, Series, spread
from goingdeeper.why.claims import judged
from goingdeeper.why.evidence.gradients import (
    ByDepth,
    by_depth_charts,
    layers_of,
    mean_of,
    plain,
    residual,
)
from goingdeeper.why.intervals import Interval, geometric
from goingdeeper.why.part import Part

if TYPE_CHECKING:
    from torch import Tensor

    from goingdeeper.runs.folder import RunFolder
    from goingdeeper.why.trials import Terms

DATA = "digits"

DEPTH, SIDE, IMAGES = 54, 16, 1500
"""Layers of the small networks, fully connected, behind a first one that sees the whole image."""

BATCH, STEPS, EVERY, RATE, CLIP = 64, 60, 5, 0.05, 1.0
"""Of their training, with momentum 0.9; every so many steps are read."""

UNITS = ("sigmoids", "ReLU")

KINDS: dict[tuple[str, str], Callable[[], Network]] = {
    ("sigmoids", "plain"): lambda: plain(DEPTH, XAVIER, act=Sigmoid()),
    ("sigmoids", "batch norm"): lambda: plain(DEPTH, XAVIER, norm=True, act=Sigmoid()),
    ("sigmoids", "shortcuts"): lambda: residual(DEPTH, XAVIER, act=Sigmoid()),
    ("sigmoids", "batch norm and shortcuts"): lambda: residual(DEPTH, XAVIER, norm=True, act=Sigmoid()),
    ("ReLU", "Xavier"): lambda: plain(DEPTH, XAVIER),
    ("ReLU", "He"): lambda: plain(DEPTH),
    ("ReLU", "batch norm"): lambda: plain(DEPTH, norm=True),
    ("ReLU", "Xavier, shortcuts"): lambda: residual(DEPTH, XAVIER),
    ("ReLU", "He, shortcuts"): lambda: residual(DEPTH),
    ("ReLU", "batch norm and shortcuts"): lambda: residual(DEPTH, norm=True),
}
"""Units, and what helps them. Batch norm undoes the scale of initial weights, so that one rule is enough."""

JUDGED = (
    ("sigmoids", "plain"),
    ("ReLU", "Xavier"),
    ("sigmoids", "batch norm"),
    ("sigmoids", "shortcuts"),
    ("ReLU", "He"),
    ("ReLU", "batch norm"),
    ("ReLU", "Xavier, shortcuts"),
    ("ReLU", "batch norm and shortcuts"),
)
"""In the claim's order."""


def training(terms: Terms) -> Part:
    """Small networks of every kind, and the published ones that the topic `degradation` trains."""
    from goingdeeper.why.evidence.degradation import arms
    from goingdeeper.why.trials import train

    images, labels, data = _images(terms.data or DATA)
    terms.events("").note(f"{len(KINDS) * len(terms.seeds)} trainings of small networks, {STEPS} steps each")
    followed = {
        kind: [
            follow(_classifying(make(), int(labels.max()) + 1), images, labels, seed) for seed in terms.seeds
        ]
        for kind, make in KINDS.items()
    }
    small = {kind: [norms for norms, _ in runs] for kind, runs in followed.items()}
    ends = {
        kind: mean_of([end for _, end in runs]) for (units, kind), runs in followed.items() if units == "ReLU"
    }
    found = train(terms, arms(), DATA)
    published = {name: [recorded(run) for run in runs] for name, runs in found.runs.items()}
    evidence = (
        judged("training-gradients", *(_over(small[kind]) for kind in JUDGED), remedy="more seeds"),
        judged("training-gradients-published", _over(published["plain 56"]), _over(published["residual 56"])),
    )
    steps, epochs = range(1, STEPS + 1, EVERY), range(1, found.epochs + 1)
    charts = (
        *(
            _chart(
                f"training-gradients-{units.lower()}",
                f"{DEPTH} fully connected layers, {units}, on {data}",
                "step",
                [_line(kind, steps, runs) for (own, kind), runs in small.items() if own == units],
            )
            for units in UNITS
        ),
        *by_depth_charts(
            "training-gradients-depth", f"{DEPTH} layers, ReLU, at the end of training on {data}", ends
        ),
        _chart(
            "training-gradients-published",
            f"Networks for CIFAR-10, as published, on {found.data}",
            "epoch",
            [_line(name, epochs, runs) for name, runs in published.items()],
        ),
    )
    note = (
        f"small networks: images at {SIDE}x{SIDE}, batches of {BATCH}, momentum 0.9, rate {RATE}, "
        f"gradients together bounded by {CLIP:g} after they are read, every {EVERY}th of {STEPS} steps, "
        "whatever --time says; means are geometric, of what was read and over the seeds"
    )
    return Part(evidence, charts, (note, f"published networks: {found.note}"))


def follow(net: Network, images: Tensor, labels: Tensor, seed: int) -> tuple[list[float], ByDepth]:
    """Norms of the gradient of the first layer's weights in training, and what was read last, by depth.

    In double precision, as gradients behind many sigmoids leave the range of single.
    """
    import torch
    from torch.nn import functional as F

    from goingdeeper.nn.build import build
    from goingdeeper.probes.watch import Watch
    from goingdeeper.why.noise import source

    built, random = build(net, seed=seed).double(), source(seed)
    optimiser = torch.optim.SGD(built.parameters(), RATE, momentum=0.9)
    depths, first = layers_of(net)[:-1], first_of(net)
    with Watch(built, (*depths, first), every=EVERY) as watch:
        for _ in range(STEPS):
            part = torch.randint(len(images), (BATCH,), generator=random)
            F.cross_entropy(built(images[part]), labels[part]).backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(built.parameters(), CLIP)
            optimiser.step()
            optimiser.zero_grad()
            watch.step()
    readings = watch.readings()
    norms = [one.weight_gradient for one in readings if one.layer == first]
    last = readings[-len(depths) - 1 : -1]
    return norms, ByDepth([one.gradient for one in last], [one.response for one in last])


def recorded(run: RunFolder) -> list[float]:
    """Norms of the gradient of the first layer's weights: the root mean square of each epoch."""
    name = first_of(from_data(run.run()["description"]))
    return [norm for _, layer, norm in run.gradients() if layer == name]


def first_of(net: Network) -> str:
    """The address of the first convolution, which is a fully connected layer in the small networks."""
    return next(f"{step.path}.conv" for step in trace(net) if isinstance(step.layer, Conv))


def _classifying(net: Network, classes: int) -> Network:
    """The same for images, its first layer seeing all of one, with a classifier behind."""
    layers = dict(net.layers)
    first = layers["first"]
    assert isinstance(first, Conv)
    layers |= {"first": replace(first, kernel=SIDE, padding=0), "fc": Linear(CLASSES)}
    return Network(net.name, layers, (), (3, SIDE, SIDE), classes, net.init)


def _images(location: str) -> tuple[Tensor, Tensor, str]:
    """(N, 3, SIDE, SIDE), double, normalised; class numbers, (N,); the source's name."""
    import numpy as np
    import torch

    from goingdeeper.data.decode import centre, fit
    from goingdeeper.data.sources import open_source
    from goingdeeper.data.split import turns

    source = open_source(location)
    squares, labels = [], []
    for item in turns(source.items, IMAGES, 0):
        with suppress(DataError):  # as in a training, one that cannot be read is left out
            squares.append(centre(fit(source.read(item.path), SIDE), SIDE))
            labels.append(source.classes.index(item.label))
    if not squares:
        raise DataError(f"no image of {location} can be read")
    pixels = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).double()
    return (pixels - pixels.mean()) / pixels.std(), torch.tensor(labels), source.name


def _over(runs: Sequence[list[float]]) -> Interval:
    """The geometric mean of a training, over the seeds."""
    return geometric([geometric(norms).mean for norms in runs])


def _line(label: str, times: Iterable[int], runs: Sequence[list[float]]) -> Series:
    return spread(label, [geometric(values) for values in zip(*runs, strict=True)], times)


def _chart(name: str, title: str, time: str, series: Iterable[Series]) -> Lines:
    unit = "gradient norm of the first layer's weights"
    return Lines(name, title, time, unit, tuple(series), y_scale="log")

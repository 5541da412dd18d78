"""Auxiliary classifiers: what they are given, what they weigh, what they do to gradients and in training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING

from goingdeeper.catalogue import network
from goingdeeper.edits import (
    rename,
    replace_layer,
    rewrite_layer,
    widen,
    with_batch_norm,
    without,
    without_heads,
)
from goingdeeper.layers import LRN, BatchNorm, Concat, Conv, Initialisation, Layer, Network
from goingdeeper.recipes import recipe
from goingdeeper.trace import trace
from goingdeeper.why.charts import Lines, curve
from goingdeeper.why.claims import judged, measured
from goingdeeper.why.part import Part

if TYPE_CHECKING:
    from goingdeeper.why.trials import Arm, Terms

BATCH = 8
WIDTH = 1 / 4
"""Of GoogLeNet's, of the networks that are trained."""
HELPED, BARE = "with heads", "without heads"
LOSS, ERROR = "train_loss", "val_error"


def arithmetic() -> Part:
    weights = dict(recipe("googlenet").head_weights)
    shapes = {step.path: step.shape_out for step in trace(network("googlenet"))}
    (low, side, _), (high, other, _) = (shapes[f"heads.{name}.pool"] for name in ("4a", "4d"))
    assert side == other
    return Part(
        (
            measured("auxiliary-loss", *(weights.get(name, weights["*"]) for name in ("4a", "4d"))),
            measured("auxiliary-input", side, low, high),
        )
    )


def init(seed: int) -> Part:
    """GoogLeNet's gradients by module, with its heads' losses and without them: no batch norm, noise."""
    import torch
    from torch.nn import functional as F

    from goingdeeper.nn.build import Net, build
    from goingdeeper.probes.watch import read_once
    from goingdeeper.why.noise import noise, source

    description = network("googlenet")
    weights = dict(recipe("googlenet").head_weights)
    names = [name for name, layer in description.layers if isinstance(layer, Concat)]
    images = noise(seed, BATCH, *description.input)
    labels = torch.randint(description.classes, (BATCH,), generator=source(seed, stream=1))

    class Losses(torch.nn.Module):
        """The net's loss, with its heads' or without them."""

        def __init__(self, net: Net, heads: bool) -> None:
            super().__init__()
            self.net, self.heads = net, heads

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            wanted = [f"heads.{name}" for name, _ in description.heads] if self.heads else []
            logits, found = self.net.tap(images, wanted)
            total = F.cross_entropy(logits, labels)
            for name, _ in description.heads if self.heads else ():
                weight = weights.get(name, weights["*"])
                total = total + weight * F.cross_entropy(found[f"heads.{name}"], labels)
            return total

    def norms(heads: bool) -> list[float]:
        module = Losses(build(description, seed=seed), heads)
        for part in module.modules():  # which draws, and would make the two differ by more than the heads
            if isinstance(part, torch.nn.Dropout):
                part.p = 0.0
        found = read_once(module, images, lambda total: total, [f"net.{name}" for name in names])
        return [one.gradient for one in found]

    bare, helped = norms(heads=False), norms(heads=True)
    places = tuple(map(float, range(1, len(names) + 1)))
    chart = Lines(
        "auxiliary",
        "GoogLeNet at initialisation, no batch norm",
        "module: 1 is 3a, 9 is 5b",
        "norm of the gradient with respect to the module's output",
        (curve("with heads at 4a and 4d", places, helped), curve("without", places, bare)),
        y_scale="log",
    )
    return Part((measured("auxiliary-gradient", helped[0] / bare[0]),), (chart,))


def training(terms: Terms) -> Part:
    """A narrow GoogLeNet with batch norm, trained with its two heads and without them."""
    from goingdeeper.why.intervals import interval
    from goingdeeper.why.trials import train

    found = train(terms, arms(), "digits")
    helped, bare = (early(found.metrics[arm]) for arm in (HELPED, BARE))
    saved = [100 * (one / other - 1) for one, other in zip(helped, bare, strict=True)]
    evidence = (
        judged("auxiliary-training", interval(saved)),
        judged("auxiliary-final", found.gap(HELPED, BARE, ERROR)),
    )
    charts = (
        Lines(
            "auxiliary-early",
            f"Training loss of the classifier on {found.data}",
            "epoch",
            "cross-entropy, without that of the heads",
            (found.curve(HELPED, f"{LOSS}_main"), found.curve(BARE, LOSS)),
        ),
        Lines(
            "auxiliary-final",
            f"Validation error on {found.data}",
            "epoch",
            "top-1 error, %",
            tuple(found.curve(arm, ERROR) for arm in (HELPED, BARE)),
        ),
    )
    return Part(evidence, charts, (f"{found.note}; GoogLeNet at {WIDTH:g} of its width",))


def arms() -> tuple[Arm, Arm]:
    """The network with its heads, and without them."""
    from goingdeeper.why.trials import Arm

    net = small()
    return Arm(HELPED, net), Arm(BARE, rename(without_heads(net), f"{net.name}-bare"))


def small() -> Network:
    """GoogLeNet for images of 32x32, narrow, with batch norm, in its heads as well ("BN-auxiliary").

    Its 5x5 pools see maps of 8x8 in place of 14x14: the first layer keeps the size, and there is a pool less.
    """
    norm = BatchNorm(eps=1e-3)

    def normed(layer: Layer) -> Layer:
        return replace(layer, norm=norm, bias=False) if isinstance(layer, Conv) else layer

    net = with_batch_norm(without(network("googlenet"), LRN), norm)
    net = replace_layer(net, "conv1", Conv(64, 3, norm=norm))
    layers = tuple((name, layer) for name, layer in net.layers if name != "pool2")
    heads = tuple((name, rewrite_layer(head, normed)) for name, head in net.heads)
    net = replace(net, layers=layers, heads=heads, input=(3, 32, 32), init=Initialisation())
    return widen(rename(net, "googlenet-small"), WIDTH)


def early(runs: Sequence[Sequence[Mapping[str, float]]]) -> list[float]:
    """The classifier's mean training loss in the first tenth of the epochs, of each run."""
    tenths = [rows[: math.ceil(len(rows) / 10)] for rows in runs]
    return [fmean(row.get(f"{LOSS}_main", row[LOSS]) for row in tenth) for tenth in tenths]

"""The four design principles of "Rethinking the Inception architecture", counted and tried."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from goingdeeper.catalogue import network
from goingdeeper.costs.counts import cost, total
from goingdeeper.edits import without_heads
from goingdeeper.layers import (
    CLASSES,
    BatchNorm,
    Chain,
    Concat,
    Conv,
    GlobalAvgPool,
    Layer,
    Linear,
    MaxPool,
    Network,
)
from goingdeeper.trace import trace
from goingdeeper.why.charts import Bars, heights, spread
from goingdeeper.why.claims import judged, measured
from goingdeeper.why.intervals import interval
from goingdeeper.why.part import Part
from goingdeeper.why.pieces import part_of

if TYPE_CHECKING:
    from goingdeeper.why.trials import Arm, Terms

REDUCED = {"none": 1, "half": 2, "quarter": 4, "eighth": 8}
"""To which part of the channels, and what they are divided by."""
WIDTHS = (32, 64, 128)
"""Channels of the networks that are trained, on maps of 16x16, 8x8 and 4x4."""
ERROR = "val_error"


def arithmetic() -> Part:
    net = without_heads(network("inception-v3"))
    modules = {name: layer for name, layer in net.layers if isinstance(layer, Concat)}
    shapes = {step.path: (step.shape_in, step.shape_out) for step in trace(net) if step.path in modules}
    kept = [math.prod(out) / math.prod(given) for given, out in shapes.values() if given[1] != out[1]]
    width = {side: max(out[0] for _, out in shapes.values() if out[1] == side) for side in (35, 17, 8)}
    stages = {"stem": 0} | dict.fromkeys(width, 0)
    for name, _ in net.layers:
        macs = total(part_of(net, name)).macs
        side = shapes[name][1][1] if name in modules else "stem"
        stages[side] = stages.get(side, 0) + macs
    share = {stage: 100 * macs / sum(stages.values()) for stage, macs in stages.items()}
    evidence = (
        measured("principles-bottleneck", *kept),
        measured("principles-wide", *(width[side] for side in (35, 17, 8))),
        measured("principles-balance", sum(part > 50 for part in share.values())),
    )
    names = tuple(modules)
    charts = (
        Bars(
            "principles-values",
            "First: what each module of Inception-v3 passes on",
            "values",
            names,
            (heights("values", (math.prod(shapes[name][1]) for name in names)),),
        ),
        Bars(
            "principles-channels",
            "Second: channels at a position",
            "channels",
            names,
            (heights("channels", (shapes[name][1][0] for name in names)),),
        ),
        Bars(
            "principles-work",
            "Fourth: where the work is",
            "share of multiply-adds, %",
            tuple(f"{stage}x{stage}" if stage != "stem" else "stem and classifier" for stage in share),
            (heights("share", share.values()),),
        ),
    )
    return Part(evidence, charts)


def training(terms: Terms) -> Part:
    """Networks of 3x3 convolutions, with reductions to a half, a quarter and an eighth in front of each."""
    from goingdeeper.why.trials import train

    found = train(terms, arms(), "digits")
    names = list(REDUCED)
    steps = [found.gap(after, before, ERROR) for before, after in pairwise(names)]
    evidence = (
        judged("principles-embedding", *steps[:2]),
        judged("principles-too-far", found.gap("eighth", "none", ERROR)),
    )
    groups = [name if by == 1 else f"to 1/{by}" for name, by in REDUCED.items()]
    millions = [cost(reduced(by)).macs / 1e6 for by in REDUCED.values()]
    errors = [interval(found.last(name, ERROR)) for name in names]
    charts = (
        Bars(
            "principles-error",
            f"Third: reductions before the 3x3, on {found.data}; multiply-adds",
            "validation error, %",
            tuple(f"{group}: {macs:.1f} M" for group, macs in zip(groups, millions, strict=True)),
            (spread("", errors, least=0, most=100),),
        ),
        Bars(
            "principles-loss",
            f"What each step of reduction loses on {found.data}",
            "validation error, points more than one step before",
            tuple(groups[1:]),
            (spread("", steps),),
        ),
    )
    return Part(evidence, charts, (found.note,))


def arms() -> list[Arm]:
    from goingdeeper.why.trials import Arm

    return [Arm(name, reduced(by)) for name, by in REDUCED.items()]


def reduced(by: int) -> Network:
    """Six 3x3 convolutions, in front of each a 1x1 to its input's channels divided by `by`."""
    conv = partial(Conv, norm=BatchNorm())
    layers: dict[str, Layer] = {"conv1": conv(WIDTHS[0], 3)}
    channels = WIDTHS[0]
    for stage, width in enumerate(WIDTHS, start=2):
        layers[f"pool{stage - 1}"] = MaxPool(3, stride=2)
        for unit in "ab":
            aggregate = conv(width, 3)
            layers[f"{stage}{unit}"] = (
                Chain({"reduce": conv(channels // by, 1), "conv": aggregate}) if by > 1 else aggregate
            )
            channels = width
    layers |= {"pool4": GlobalAvgPool(), "fc": Linear(CLASSES)}
    return Network(f"reduced-by-{by}", layers, input=(3, 32, 32), classes=10)

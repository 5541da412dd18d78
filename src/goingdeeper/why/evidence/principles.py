"""The four design principles of "Rethinking the Inception architecture", counted on Inception-v3."""

from __future__ import annotations

import math

from goingdeeper.catalogue import network
from goingdeeper.costs.counts import total
from goingdeeper.edits import without_heads
from goingdeeper.layers import Concat
from goingdeeper.trace import trace
from goingdeeper.why.charts import Bars, heights
from goingdeeper.why.claims import measured
from goingdeeper.why.part import Part
from goingdeeper.why.pieces import part_of


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

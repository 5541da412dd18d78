"""The receptive field: what a value could see by arithmetic, and what it does see by its gradient."""

from __future__ import annotations

from goingdeeper.catalogue import network
from goingdeeper.edits import without_heads
from goingdeeper.trace import trace
from goingdeeper.why.charts import Bars, Lines, curve, heights
from goingdeeper.why.claims import measured
from goingdeeper.why.part import Part

NETWORKS = ("googlenet", "vgg-16", "resnet-34-a")
MODULES = ("conv1", "pool2", "3a", "3b", "4a", "4c", "4e", "5b")


def arithmetic() -> Part:
    """5b of GoogLeNet, and how the field grows layer by layer."""
    net = network("googlenet")
    by_path = {step.path: step.field.size[0] for step in trace(net)}
    series = []
    for name in NETWORKS:
        sizes = [
            step.field.size[0]
            for step in trace(without_heads(network(name)))
            if len(step.shape_out) == 3 and step.leaf
        ]
        grown = [max(sizes[: place + 1]) for place in range(len(sizes))]
        share = (100 * place / len(grown) for place in range(1, len(grown) + 1))
        series.append(curve(name, share, grown))
    charts = (
        Lines(
            "field",
            "Theoretical receptive field",
            "layers of the network passed, %",
            "side, pixels",
            tuple(series),
            level=(float(net.input[1]), "the input"),
        ),
    )
    return Part((measured("field-input", net.input[1], by_path["5b"]),), charts)


def init(seed: int) -> Part:
    """GoogLeNet's modules, by the gradient of the value in their middle, random weights, noise."""
    from goingdeeper.nn.build import build
    from goingdeeper.probes.field import receptive_field
    from goingdeeper.why.noise import apart

    net = network("googlenet")
    theory = {step.path: step.field.size[0] for step in trace(net)}
    model = build(net, seed=seed)
    found = {name: receptive_field(model, name, net.input, images=4, seed=apart(seed)) for name in MODULES}
    side = net.input[1]
    chart = Bars(
        "field-measured",
        "GoogLeNet at initialisation",
        "side, pixels",
        MODULES,
        (
            heights("by arithmetic", (theory[name] for name in MODULES)),
            heights("gradient not 0, at most the input", (found[name].side for name in MODULES)),
            heights("95 % of the gradient", (found[name].holding(0.95) for name in MODULES)),
        ),
        level=(float(side), "the input"),
    )
    share = found["4a"].holding(0.95) / theory["4a"]  # the input holds all of its field
    return Part((measured("field-effective", share),), (chart,))

"""The naive Inception module: cost, and the growth of channels."""

from __future__ import annotations

from goingdeeper.catalogue import network
from goingdeeper.catalogue.googlenet import naive
from goingdeeper.costs.counts import total
from goingdeeper.layers import Concat, Network
from goingdeeper.trace import find
from goingdeeper.why.charts import Bars, heights
from goingdeeper.why.claims import measured
from goingdeeper.why.part import Part
from goingdeeper.why.pieces import counted, part_of, shape_in, shape_out

MODULES = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")


def arithmetic() -> Part:
    published, stacked = network("googlenet"), network("googlenet-naive")
    own = {name: total(part_of(published, name)).macs for name in MODULES}
    bare = {name: _naive_macs(published, name) for name in MODULES}
    evidence = (
        measured("naive-cost", bare["3a"], own["3a"], bare["3a"] / own["3a"], bare["5a"] / own["5a"]),
        measured(
            "naive-channels",
            *(shape_out(net, name)[0] for net in (stacked, published) for name in ("3a", "3b")),
        ),
    )
    charts = (
        Bars(
            "naive-cost",
            "Each module of GoogLeNet on the same input",
            "multiply-adds for one image",
            MODULES,
            (
                heights("naive", bare.values()),
                heights("with reductions", own.values()),
            ),
        ),
        Bars(
            "naive-channels",
            "Channels behind each module, all modules naive or none",
            "channels",
            MODULES,
            tuple(
                heights(label, (shape_out(net, name)[0] for name in MODULES))
                for label, net in (("naive", stacked), ("with reductions", published))
            ),
        ),
    )
    return Part(evidence, charts)


def _naive_macs(net: Network, name: str) -> int:
    """Of a module's naive form, given what the module is given in the published network."""
    module, shape = find(net, name), shape_in(net, name)
    assert isinstance(module, Concat)
    return counted({"module": naive(module)}, (shape[0], shape[1], shape[2])).macs

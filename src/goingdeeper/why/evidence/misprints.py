"""What is printed wrong, as far as the lecture shows it."""

from __future__ import annotations

from goingdeeper.costs.counts import cost
from goingdeeper.published.results import Result, table
from goingdeeper.why.charts import Bars, heights
from goingdeeper.why.claims import measured
from goingdeeper.why.evidence.crops import errors
from goingdeeper.why.part import Part

PRINTED = {"inception-v2-released-modules": "Inception-v2", "inception-v3": "Inception-v3"}
"""Networks whose printed cost cannot be reproduced, and their names there."""


def arithmetic() -> Part:
    error = errors()
    exact = {name: cost(name).macs / 1e9 for name in PRINTED}
    said = {row.network: row.cost_bn_ops or 0 for row in table("rethinking-table3")}
    entry = _row("resnet-table5", "resnet")
    pair, four = (_row("rethinking-table5", network) for network in ("vgg", "inception-v3"))
    evidence = (
        measured("misprints-cost", exact["inception-v3"], exact["inception-v2-released-modules"]),
        measured("misprints-crops", error[1, 1] - error[7, 144]),
        measured("misprints-headings", error[1, 10]),
        measured("misprints-vgg", pair.top5_error),
        measured("misprints-single", error[1, 1], error[1, 10]),
        measured("misprints-test", four.top5_error),
        measured("misprints-ensemble", entry.models),
    )
    chart = Bars(
        "misprints",
        "Cost as Szegedy et al. 2015, Table 3, print it, and as it is",
        "billions of multiply-adds",
        tuple(PRINTED.values()),
        (
            heights("printed", (said[name] for name in PRINTED)),
            heights("of the released graph", exact.values()),
        ),
    )
    return Part(evidence, (chart,), ("`deeper audit` compares every printed figure with what is exact",))


def _row(name: str, network: str) -> Result:
    return next(row for row in table(name) if row.network == network)
